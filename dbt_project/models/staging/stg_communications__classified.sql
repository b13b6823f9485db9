{{ config(materialized='view') }}

{{ classified('communications') }}
