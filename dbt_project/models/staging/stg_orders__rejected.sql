{{ config(materialized='view') }}

{{ rejected('orders') }}
