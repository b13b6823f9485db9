-- One row per channel: whether every conversation has a need, and how many have none that is known.
with needs as (
    select
        coalesce(channel, 'unknown') as channel,
        count(distinct conversation_key) as n_conversations,
        count(distinct conversation_key) filter (where need = 'unknown') as n_unknown,
        count(*) filter (where is_provisional and not coalesce(is_resolved, false)) as n_wrong_provisional,
    from marts.conversation_needs
    group by 1
),

conversations as (
    select coalesce(channel, 'unknown') as channel, count(*) as n_conversations,
    from marts.fct_conversations
    group by 1
),

final as (
    select
        conversations.channel,
        conversations.n_conversations - coalesce(needs.n_conversations, 0) as n_without_need,
        coalesce(needs.n_wrong_provisional, 0) as n_wrong_provisional,
        case when needs.n_conversations >= 100 then needs.n_unknown / needs.n_conversations end as unknown_share,
    from conversations
    left join needs using (channel)
    order by conversations.channel
)

select * from final
