{{ config(materialized='view') }}

{{ staged('call_legs') }}
