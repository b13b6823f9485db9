{{ config(materialized='view') }}

with

settings as (
    select as_of from {{ ref('int_as_of') }}
),

promises as (
    select
        coalesce(max(value) filter (where key = 'phone_answer_within_seconds'), '20')::integer as answer_within_seconds
    from {{ source('ops', 'settings') }}
),

followed as (
    select
        metrics.*,
        openings.next_opened_at,
        -- where a source does not say when it was answered, a call seems answered as it comes in
        case
            when metrics.channel = 'phone' and metrics.n_calls_answered > 0 and metrics.first_reply_minutes > 0
                then (metrics.first_reply_minutes * 60)::decimal(18, 3)
        end as answer_seconds,
    from {{ ref('int_conversation_metrics') }} as metrics
    -- a customer who begins anew about the same within seven days was not helped
    left join {{ ref('int_next_openings') }} as openings using (conversation_hash)
),

final as (
    select
        followed.conversation_key,
        followed.customer_key,
        followed.agent_key,
        agents.team,
        followed.source_name,
        followed.channel,
        followed.category,
        followed.status,
        followed.is_inbound,
        followed.opened_at,
        followed.first_closed_at,
        followed.reopened_at,
        followed.closed_at,
        followed.first_reply_minutes,
        followed.first_reply_business_minutes,
        followed.n_next_replies,
        followed.next_reply_minutes,
        followed.next_reply_business_minutes,
        followed.longest_next_reply_minutes,
        followed.requester_wait_minutes,
        followed.requester_wait_business_minutes,
        followed.agent_wait_minutes,
        followed.agent_wait_business_minutes,
        followed.on_hold_minutes,
        followed.on_hold_business_minutes,
        followed.first_resolution_minutes,
        followed.first_resolution_business_minutes,
        followed.full_resolution_minutes,
        followed.full_resolution_business_minutes,
        followed.unassigned_minutes,
        followed.unassigned_business_minutes,
        followed.n_reopens,
        followed.n_agents,
        followed.n_handoffs,
        followed.n_touches,
        followed.status = 'closed' and followed.n_touches = 1 as is_one_touch,
        followed.status = 'closed' and followed.n_touches = 2 as is_two_touch,
        case
            when not followed.is_inbound or followed.status = 'open' then null
            when
                followed.outcome_state <> 'resolved_first_time'
                or followed.next_opened_at <= followed.closed_at + interval 7 day
                then false
            when followed.customer_key is null or followed.closed_at + interval 7 day > settings.as_of then null
            when followed.closed_at is not null then true
        end as is_first_contact_resolution,
        followed.n_calls_offered,
        followed.n_calls_answered,
        followed.n_calls_offered - followed.n_calls_answered as n_calls_abandoned,
        followed.answer_seconds,
        case
            when followed.channel = 'phone' and followed.is_inbound
                then case
                    when followed.n_calls_answered = 0 then false
                    else followed.answer_seconds <= promises.answer_within_seconds
                end
        end as is_answered_in_time,
        followed.handle_seconds,
        case
            when followed.channel = 'chat' and followed.is_inbound
                then coalesce(followed.first_reply_minutes <= 3, false)
        end as is_chat_replied_within_3_minutes,
        followed.first_reply_due_at,
        {{ kept('followed.first_reply_at', 'followed.first_reply_due_at') }} as first_reply_sla,
        followed.next_reply_sla,
        followed.resolution_due_at,
        case
            -- closed, and nobody says when
            when followed.status = 'closed' and followed.closed_at is null then null
            else {{ kept(
                "case when followed.status = 'closed' then followed.closed_at end", 'followed.resolution_due_at'
            ) }}
        end as resolution_sla,
        followed.conversation_hash,
        followed.row_version,
    from followed
    cross join settings
    cross join promises
    left join {{ ref('dim_agents') }} as agents using (agent_key)
)

select * from final
