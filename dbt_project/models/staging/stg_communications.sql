{{ config(materialized='view') }}

{{ staged('communications') }}
