{{ config(materialized='view') }}

with

final as (
    select communication_key, subject, body,
    from {{ ref('int_communications') }}
    where subject is not null or body is not null
)

select * from final
