{{ config(materialized='view') }}

{{ classified('call_legs') }}
