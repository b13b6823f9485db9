{{ config(materialized='view') }}

with

members as (
    select
        members.matter_key,
        members.position,
        members.evidence,
        conversations.*,
    from {{ ref('int_matter_members') }} as members
    inner join {{ ref('int_conversations') }} as conversations using (conversation_key)
),

-- Most matters are one conversation: there is nothing to gather.
single as (
    select
        conversation_key as matter_key,
        customer_key,
        1 as n_conversations,
        (channel is not null)::integer as n_channels,
        coalesce(channel, '') as channels,
        channel as first_channel,
        channel as last_channel,
        null as evidence,
        status,
        n_inbound,
        n_outbound,
        opened_at,
        first_reply_at,
        closed_at as last_closed_at,
    from {{ ref('int_conversations') }}
    anti join {{ ref('int_matter_members') }} using (conversation_key)
),

gathered as (
    select
        matter_key,
        min(customer_key) as customer_key,
        count(*) as n_conversations,
        count(distinct channel) as n_channels,
        array_to_string(list_sort(list_distinct(list(channel))), ', ') as channels,
        arg_min(channel, position) as first_channel,
        arg_max(channel, position) as last_channel,
        nullif(array_to_string(list_sort(list_distinct(list(evidence))), ', '), '') as evidence,
        case when bool_or(status = 'open') then 'open' else 'closed' end as status,
        sum(n_inbound) as n_inbound,
        sum(n_outbound) as n_outbound,
        min(opened_at) as opened_at,
        min(first_reply_at) as first_reply_at,
        max(closed_at) as last_closed_at,
    from members
    group by matter_key
),

united as (
    select * from single
    union all
    select * from gathered
),

closed as (
    select
        *,
        case when status <> 'open' then last_closed_at end as closed_at,
    from united
),

final as (
    select
        matter_key,
        customer_key,
        n_conversations::integer as n_conversations,
        n_channels::integer as n_channels,
        channels,
        first_channel,
        last_channel,
        evidence,
        status,
        n_inbound::integer as n_inbound,
        n_outbound::integer as n_outbound,
        opened_at,
        first_reply_at,
        closed_at,
        {{ minutes_between('opened_at', 'closed_at') }} as resolution_minutes,
    from closed
)

select * from final
