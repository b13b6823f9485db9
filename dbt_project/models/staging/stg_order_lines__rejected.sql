{{ config(materialized='view') }}

{{ rejected('order_lines') }}
