{{ config(materialized='view') }}

{{ staged('email_messages') }}
