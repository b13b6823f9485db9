{{ config(materialized='view') }}

{{ classified('follow_ups') }}
