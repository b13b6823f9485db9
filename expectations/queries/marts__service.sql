-- One row per channel: whether the daily service figures add up to the conversations, and whether what was
-- measured is possible.
with metrics as (
    select
        coalesce(channel, 'unknown') as channel,
        count(*) as n_conversations,
        count(*) filter (where opened_at is not null) as n_opened,
        sum(requester_wait_minutes) filter (where opened_at is not null) as requester_wait_minutes,
        count(*) filter (where first_reply_sla = 'breach') as n_breached,
        count(*) filter (
            where least(
                first_reply_minutes, next_reply_minutes, requester_wait_minutes, agent_wait_minutes, on_hold_minutes,
                full_resolution_minutes, unassigned_minutes
            ) < 0
        ) as n_negative_times,
        count(*) filter (
            where requester_wait_business_minutes > requester_wait_minutes + 0.001
            or agent_wait_business_minutes > agent_wait_minutes + 0.001
            or full_resolution_business_minutes > full_resolution_minutes + 0.001
        ) as n_more_business_than_time,
        count(*) filter (where n_calls_answered > n_calls_offered) as n_more_answered_than_offered,
        count(*) filter (where n_reopens > 0 and is_first_contact_resolution) as n_reopened_and_resolved,
        count(first_reply_sla) filter (where first_reply_sla <> 'active') as n_due,
    from marts.fct_conversation_metrics
    group by 1
),

daily as (
    select
        channel,
        sum(n_conversations) as n_conversations,
        sum(requester_wait_minutes) as requester_wait_minutes,
    from marts.agg_service_daily
    group by channel
),

backlog as (
    select channel, min(n_open_at_end) as least_open,
    from marts.agg_backlog_daily
    group by channel
),

final as (
    select
        metrics.channel,
        (metrics.n_opened - coalesce(daily.n_conversations, 0))::bigint as n_difference,
        (coalesce(metrics.requester_wait_minutes, 0) - coalesce(daily.requester_wait_minutes, 0))::double as minutes_difference,
        metrics.n_negative_times,
        metrics.n_more_business_than_time,
        metrics.n_more_answered_than_offered,
        metrics.n_reopened_and_resolved,
        coalesce(backlog.least_open, 0) as least_open,
        case when metrics.n_due >= 50 then metrics.n_breached / metrics.n_due end as breached_share,
    from metrics
    left join daily using (channel)
    left join backlog using (channel)
    order by metrics.channel
)

select * from final
