{{ config(materialized='view') }}

{{ rejected('follow_ups') }}
