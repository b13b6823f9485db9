{{ config(materialized='view') }}

{{ rejected('survey_responses') }}
