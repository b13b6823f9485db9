{{ config(materialized='view') }}

{{ classified('events') }}
