with

settings as not materialized (
    select as_of, reporting_timezone from {{ ref('int_as_of') }}
),

orders as (
    select
        orders.customer_key,
        min(orders.ordered_at) as first_order_at,
        max(orders.ordered_at) as last_order_at,
    from {{ ref('int_orders') }} as orders
    cross join settings
    where not orders.is_cancelled and orders.ordered_at <= settings.as_of
    group by orders.customer_key
),

-- Equal figures share a fifth, whoever they belong to: the place is that of the last of them.
placed as (
    select
        customer_key,
        ceil(5 * cume_dist() over (order by days_since_last_order desc))::integer as recency_quintile,
        ceil(5 * cume_dist() over (order by n_orders))::integer as frequency_quintile,
        ceil(5 * cume_dist() over (order by order_value))::integer as monetary_quintile,
    from {{ ref('features_customers') }}
    where n_order_days > 0
),

final as (
    select
        features.customer_key,
        settings.as_of,
        orders.first_order_at,
        orders.last_order_at,
        (orders.first_order_at at time zone settings.reporting_timezone)::date as first_order_day,
        features.n_orders,
        features.n_order_days,
        features.order_value,
        features.days_since_last_order,
        placed.recency_quintile,
        placed.frequency_quintile,
        placed.monetary_quintile,
        placed.recency_quintile || '' || placed.frequency_quintile || '' || placed.monetary_quintile as rfm,
        scores.p_alive,
        scores.expected_orders_90d,
        scores.expected_value_90d,
        scores.expected_orders_365d,
        scores.expected_value_365d,
        scores.model_digest,
    from {{ ref('features_customers') }} as features
    inner join placed using (customer_key)
    inner join orders using (customer_key)
    cross join settings
    left join {{ source('ml', 'value_scores') }} as scores using (customer_key)
)

select * from final
