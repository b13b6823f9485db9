{{ config(materialized='view') }}

{{ staged('customers') }}
