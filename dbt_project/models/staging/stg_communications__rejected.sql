{{ config(materialized='view') }}

{{ rejected('communications') }}
