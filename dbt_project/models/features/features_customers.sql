with

settings as not materialized (
    select as_of, as_of - interval 90 day as window_start, last_day, reporting_timezone,
    from {{ ref('int_as_of') }}
),

conversations as (
    select
        conversations.customer_hash,
        count(*) as n_conversations,
        count(*) filter (where conversations.opened_at > settings.window_start) as n_conversations_90d,
        count(distinct conversations.channel) as n_channels,
    from {{ ref('int_conversations') }} as conversations
    cross join settings
    where conversations.opened_at <= settings.as_of or conversations.opened_at is null
    group by conversations.customer_hash
),

messages as (
    select
        messages.customer_hash,
        count(*) filter (where messages.sent_at > settings.window_start) as n_inbound_90d,
        max(messages.sent_at) as last_contact_at,
    from {{ ref('int_communications') }} as messages
    cross join settings
    where messages.direction = 'inbound' and not messages.is_auto_reply and messages.sent_at <= settings.as_of
    group by messages.customer_hash
),

openings as (
    select
        conversations.customer_hash,
        max(conversations.opened_at) as last_opened_at,
    from {{ ref('int_conversations') }} as conversations
    cross join settings
    where conversations.is_inbound and conversations.opened_at <= settings.as_of
    group by conversations.customer_hash
),

orders as (
    select
        orders.customer_hash,
        count(*) as n_orders,
        sum(orders.amount)::decimal(18, 2) as order_value,
        sum(orders.amount) filter (where orders.ordered_at > settings.window_start)::decimal(18, 2) as order_value_90d,
        min(orders.ordered_at) as first_order_at,
        max(orders.ordered_at) as last_order_at,
    from {{ ref('int_orders') }} as orders
    cross join settings
    where not orders.is_cancelled and (orders.ordered_at <= settings.as_of or orders.ordered_at is null)
    group by orders.customer_hash
),

-- Who buys twice on a day buys once; what the first day was worth says nothing of coming back.
order_days as (
    select
        orders.customer_hash,
        (orders.ordered_at at time zone settings.reporting_timezone)::date as day,
        coalesce(sum(orders.amount), 0)::decimal(18, 2) as amount,
    from {{ ref('int_orders') }} as orders
    cross join settings
    where not orders.is_cancelled and orders.ordered_at <= settings.as_of and orders.customer_hash is not null
    group by orders.customer_hash, day
),

purchases as (
    select
        customer_hash,
        count(*) as n_order_days,
        {{ share('sum(amount) - arg_min(amount, day)', 'count(*) - 1', 'decimal(18, 2)') }} as repeat_order_value,
    from order_days
    group by customer_hash
),

surveys as (
    select
        surveys.customer_hash,
        count(*) as n_surveys,
        {{ share('sum(surveys.satisfaction)', 'count(surveys.satisfaction)') }} as mean_satisfaction,
    from {{ ref('int_survey_responses') }} as surveys
    cross join settings
    where surveys.responded_at <= settings.as_of or surveys.responded_at is null
    group by surveys.customer_hash
),

final as (
    select
        customers.customer_key,
        coalesce(conversations.n_conversations, 0)::integer as n_conversations,
        coalesce(conversations.n_conversations_90d, 0)::integer as n_conversations_90d,
        coalesce(messages.n_inbound_90d, 0)::integer as n_inbound_90d,
        coalesce(conversations.n_channels, 0)::integer as n_channels,
        coalesce(orders.n_orders, 0)::integer as n_orders,
        coalesce(orders.order_value, 0)::decimal(18, 2) as order_value,
        coalesce(orders.order_value_90d, 0)::decimal(18, 2) as order_value_90d,
        {{ share('orders.order_value', 'orders.n_orders', 'decimal(18, 2)') }} as avg_order_value,
        {{ days_until('orders.last_order_at', 'settings.last_day') }} as days_since_last_order,
        {{ days_until('orders.first_order_at', 'settings.last_day') }} as days_since_first_order,
        {{ days_until('greatest(messages.last_contact_at, openings.last_opened_at)', 'settings.last_day') }}
            as days_since_last_contact,
        coalesce(surveys.n_surveys, 0)::integer as n_surveys,
        surveys.mean_satisfaction,
        customers.age,
        customers.gender,
        coalesce(orders.n_orders, 0) = 0 as is_contact_only,
        coalesce(purchases.n_order_days, 0)::integer as n_order_days,
        purchases.repeat_order_value,
    from {{ ref('int_customers') }} as customers
    cross join settings
    left join conversations using (customer_hash)
    left join messages using (customer_hash)
    left join openings using (customer_hash)
    left join orders using (customer_hash)
    left join purchases using (customer_hash)
    left join surveys using (customer_hash)
)

select * from final
