{{ config(materialized='view') }}

{{ rejected('events') }}
