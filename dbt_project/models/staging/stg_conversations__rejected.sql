{{ config(materialized='view') }}

{{ rejected('conversations') }}
