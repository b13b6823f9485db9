with

settings as (
    select as_of from {{ ref('int_as_of') }}
),

needs as (
    select
        conversations.conversation_key,
        conversations.customer_key,
        conversations.order_id,
        conversations.channel,
        conversations.status,
        conversations.is_inbound,
        conversations.is_reopened,
        conversations.opened_at,
        conversations.closed_at,
        unnest(told.needs, recursive := true),
    from {{ ref('int_conversation_needs') }} as told
    inner join {{ ref('int_conversations') }} as conversations using (conversation_key)
),

-- Few columns go through the window: it sorts all that it is given.
openings as (
    select
        conversation_key,
        need,
        lead(opened_at) over (
            partition by customer_key, need, is_inbound order by opened_at, conversation_key
        ) as next_opened_at,
    from needs
    where customer_key is not null
),

placed as (
    select needs.*, openings.next_opened_at,
    from needs
    left join openings using (conversation_key, need)
),

judged as (
    select
        placed.*,
        case
            when placed.status = 'open' or placed.is_reopened then false
            when placed.customer_key is null or placed.closed_at is null then null
            else coalesce(placed.next_opened_at > placed.closed_at + interval 7 day, true)
        end as is_resolved,
        placed.closed_at + interval 7 day > settings.as_of as is_young,
    from placed
    cross join settings
),

-- An order's key is found by its number where only one source has it.
orders as (
    select order_id, min(order_key) as order_key,
    from {{ ref('int_orders') }}
    group by order_id
    having count(*) = 1
),

final as (
    select
        judged.conversation_key,
        judged.need,
        coalesce(named.name, 'Unknown') as need_name,
        named.name_zh as need_name_zh,
        coalesce(named.is_presale, false) as is_presale,
        judged.evidence,
        judged.customer_key,
        orders.order_key,
        judged.channel,
        judged.is_inbound,
        judged.opened_at,
        judged.closed_at,
        judged.is_resolved,
        coalesce(judged.is_resolved and judged.is_young, false) as is_provisional,
    from judged
    left join {{ source('ops', 'needs') }} as named using (need)
    left join orders using (order_id)
)

select * from final
