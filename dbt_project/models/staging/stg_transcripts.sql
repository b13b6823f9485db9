{{ config(materialized='view') }}

{{ staged('transcripts') }}
