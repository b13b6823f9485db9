{{ config(materialized='view') }}

{{ classified('conversations') }}
