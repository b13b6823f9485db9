{{ config(materialized='view') }}

{{ staged('orders') }}
