{{ config(materialized='view') }}

{{ staged('survey_responses') }}
