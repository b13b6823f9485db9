{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='month',
    post_hook='{{ forget_gone() }}'
) }}

with

settings as (
    select reporting_timezone from {{ ref('int_as_of') }}
),

metrics as not materialized (
    select metrics.*, {{ reporting_month('metrics.opened_at') }} as month,
    from {{ ref('part_conversation_outcomes') }} as metrics
    cross join settings
    where metrics.opened_at is not null
),

-- All that a row says lies in its version, but for what depends on other conversations, on the team and on today.
versioned as materialized (
    select
        month,
        hash(
            sum(hash(
                row_version, team, is_first_contact_resolution, is_answered_in_time, first_reply_sla, next_reply_sla,
                resolution_sla
            )),
            count(*)
        ) as row_version,
    from metrics
    group by month
),

{{ changed('month', has_several=true) }},

chosen as (
    select metrics.*
    from metrics
    {% if is_incremental() %}semi join changed using (month){% endif %}
),

summed as (
    select
        metrics.month,
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
    from chosen as metrics
    cross join settings
    group by metrics.month, day, coalesce(metrics.channel, 'unknown'), metrics.agent_key, metrics.team
),

described as (
    select summed.*, versioned.row_version,
    from summed
    inner join versioned using (month)
),

final as (
    select * from described
    {{ gone('month', has_several=true) }}
)

select * from final
