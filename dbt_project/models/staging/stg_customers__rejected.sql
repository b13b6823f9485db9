{{ config(materialized='view') }}

{{ rejected('customers') }}
