{{ config(materialized='view') }}

{{ staged('agents') }}
