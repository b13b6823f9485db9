{{ config(materialized='view') }}

{{ staged('order_lines') }}
