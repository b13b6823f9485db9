{{ config(materialized='view') }}

{{ staged('events') }}
