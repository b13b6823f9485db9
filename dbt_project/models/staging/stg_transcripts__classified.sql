{{ config(materialized='view') }}

{{ classified('transcripts') }}
