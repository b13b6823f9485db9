{{ config(materialized='view') }}

{{ classified('order_lines') }}
