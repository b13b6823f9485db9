{{ config(materialized='view') }}

{{ classified('email_messages') }}
