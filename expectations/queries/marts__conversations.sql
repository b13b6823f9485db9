-- One row per channel: conversations in counts.
with final as (
    select
        coalesce(channel, 'unknown') as channel,
        count(*) as n_conversations,
        count(*) - count(distinct conversation_key) as n_repeated_keys,
        count(*) filter (where status not in ('open', 'closed') or status is null) as n_wrong_states,
        count(*) filter (where (outcome_state = 'open') != (status = 'open')) as n_wrong_outcomes,
        count(*) filter (where not satisfaction between 0 and 1) as n_wrong_satisfaction,
        count(*) filter (
            where first_reply_minutes < 0 or resolution_minutes < 0 or handle_seconds < 0
        ) as n_negative_durations,
        count(*) filter (where closed_at < opened_at) as n_closed_before_opened,
        count(*) - count(customer_key) as n_without_customer,
        (count(*) - count(customer_key)) / count(*) as without_customer_share,
    from marts.fct_conversations
    group by coalesce(channel, 'unknown')
    order by 1
)

select * from final
