{{ config(materialized='view') }}

{{ rejected('call_legs') }}
