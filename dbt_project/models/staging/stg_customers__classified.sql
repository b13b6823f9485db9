{{ config(materialized='view') }}

{{ classified('customers') }}
