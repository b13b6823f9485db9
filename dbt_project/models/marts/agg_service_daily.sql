with

settings as (
    select reporting_timezone from {{ ref('int_as_of') }}
),

final as (
    select
        (metrics.opened_at at time zone settings.reporting_timezone)::date as day,
        coalesce(metrics.channel, 'unknown') as channel,
        metrics.agent_key,
        metrics.team,
        count(*)::integer as n_conversations,
        count(*) filter (where is_inbound)::integer as n_from_customers,
        count(*) filter (where status = 'closed')::integer as n_closed,
        count(first_reply_minutes)::integer as n_first_replies,
        {{ summed('first_reply_minutes') }},
        {{ summed('first_reply_business_minutes') }},
        sum(n_next_replies)::integer as n_next_replies,
        {{ summed('next_reply_minutes') }},
        {{ summed('next_reply_business_minutes') }},
        {{ summed('requester_wait_minutes') }},
        {{ summed('requester_wait_business_minutes') }},
        {{ summed('agent_wait_minutes') }},
        {{ summed('agent_wait_business_minutes') }},
        count(on_hold_minutes)::integer as n_on_hold,
        {{ summed('on_hold_minutes') }},
        {{ summed('on_hold_business_minutes') }},
        count(full_resolution_minutes)::integer as n_resolution_times,
        {{ summed('full_resolution_minutes') }},
        {{ summed('full_resolution_business_minutes') }},
        count(unassigned_minutes)::integer as n_assignment_times,
        {{ summed('unassigned_minutes') }},
        {{ summed('unassigned_business_minutes') }},
        count(*) filter (where n_reopens > 0)::integer as n_reopened,
        sum(n_reopens)::integer as n_reopens,
        sum(n_handoffs)::integer as n_handoffs,
        sum(n_touches)::integer as n_touches,
        count(*) filter (where is_one_touch)::integer as n_one_touch,
        count(*) filter (where is_two_touch)::integer as n_two_touch,
        count(is_first_contact_resolution)::integer as n_first_contact_judged,
        count(*) filter (where is_first_contact_resolution)::integer as n_first_contact_resolved,
        coalesce(sum(n_calls_offered), 0)::integer as n_calls_offered,
        coalesce(sum(n_calls_answered), 0)::integer as n_calls_answered,
        coalesce(sum(n_calls_abandoned), 0)::integer as n_calls_abandoned,
        count(answer_seconds)::integer as n_answer_times,
        {{ summed('answer_seconds') }},
        count(is_answered_in_time)::integer as n_service_level_judged,
        count(*) filter (where is_answered_in_time)::integer as n_answered_in_time,
        count(handle_seconds)::integer as n_handle_times,
        {{ summed('handle_seconds') }},
        count(is_chat_replied_within_3_minutes)::integer as n_chats,
        count(*) filter (where is_chat_replied_within_3_minutes)::integer as n_chats_replied_within_3_minutes,
        count(*) filter (where first_reply_sla = 'hit')::integer as n_first_reply_hit,
        count(*) filter (where first_reply_sla = 'breach')::integer as n_first_reply_breach,
        count(*) filter (where first_reply_sla = 'active')::integer as n_first_reply_active,
        count(*) filter (where next_reply_sla = 'hit')::integer as n_next_reply_hit,
        count(*) filter (where next_reply_sla = 'breach')::integer as n_next_reply_breach,
        count(*) filter (where next_reply_sla = 'active')::integer as n_next_reply_active,
        count(*) filter (where resolution_sla = 'hit')::integer as n_resolution_hit,
        count(*) filter (where resolution_sla = 'breach')::integer as n_resolution_breach,
        count(*) filter (where resolution_sla = 'active')::integer as n_resolution_active,
    from {{ ref('fct_conversation_metrics') }} as metrics
    cross join settings
    where metrics.opened_at is not null
    group by day, coalesce(metrics.channel, 'unknown'), metrics.agent_key, metrics.team
)

select * from final
