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
        -- what a person approved comes first, what is over comes last; ranks of one plan start at 1
        row_number() over (
            order by
                case status when 'approved' then 0 when 'proposed' then 1 else 2 end,
                rank,
                follow_up_id
        )::integer as rank,
        status,
    from {{ source('care', 'follow_ups') }}
)

select * from final
