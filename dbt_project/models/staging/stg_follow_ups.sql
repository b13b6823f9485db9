{{ config(materialized='view') }}

{{ staged('follow_ups') }}
