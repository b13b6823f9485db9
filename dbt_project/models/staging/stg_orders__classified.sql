{{ config(materialized='view') }}

{{ classified('orders') }}
