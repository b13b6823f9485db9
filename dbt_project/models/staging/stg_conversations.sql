{{ config(materialized='view') }}

{{ staged('conversations') }}
