{{ config(materialized='view') }}

with

final as (
    select
        follow_up_id,
        customer_key,
        conversation_key,
        reason_code,
        reason,
        channel,
        owner,
        due_at,
        priority,
        rank,
        status,
    from {{ source('care', 'follow_ups') }}
)

select * from final
