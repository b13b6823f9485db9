{{ config(materialized='view') }}

{{ rejected('email_messages') }}
