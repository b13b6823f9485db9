{{ config(materialized='view') }}

{{ classified('agents') }}
