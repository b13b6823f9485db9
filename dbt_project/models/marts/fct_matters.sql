with

members as (
    select
        matters.matter_key,
        matters.position,
        matters.evidence,
        conversations.*,
    from {{ ref('matter_conversations') }} as matters
    inner join {{ ref('int_conversations') }} as conversations using (conversation_key)
),

final as (
    select
        matter_key,
        min(customer_key) as customer_key,
        count(*)::integer as n_conversations,
        count(distinct channel)::integer as n_channels,
        array_to_string(list_sort(list_distinct(list(channel))), ', ') as channels,
        arg_min(channel, position) as first_channel,
        arg_max(channel, position) as last_channel,
        nullif(array_to_string(list_sort(list_distinct(list(evidence))), ', '), '') as evidence,
        case when bool_or(status = 'open') then 'open' else 'closed' end as status,
        sum(n_inbound)::integer as n_inbound,
        sum(n_outbound)::integer as n_outbound,
        min(opened_at) as opened_at,
        min(first_reply_at) as first_reply_at,
        case when not bool_or(status = 'open') then max(closed_at) end as closed_at,
        {{ minutes_between('min(opened_at)', "case when not bool_or(status = 'open') then max(closed_at) end") }}
            as resolution_minutes,
    from members
    group by matter_key
)

select * from final
