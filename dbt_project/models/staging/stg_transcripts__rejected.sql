{{ config(materialized='view') }}

{{ rejected('transcripts') }}
