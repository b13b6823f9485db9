{{ config(materialized='view') }}

{{ classified('survey_responses') }}
