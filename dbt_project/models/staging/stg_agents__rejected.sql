{{ config(materialized='view') }}

{{ rejected('agents') }}
