with

settings as not materialized (
    select as_of, reporting_timezone from {{ ref('int_as_of') }}
),

orders as not materialized (
    select
        orders.order_key,
        orders.order_id,
        orders.store,
        {{ reporting_month('orders.ordered_at') }} as month,
    from {{ ref('int_orders') }} as orders
    cross join settings
    where not orders.is_cancelled and orders.ordered_at <= settings.as_of
),

products as (
    select distinct orders.order_key, coalesce(lines.product_name, lines.product_id) as product,
    from orders
    inner join {{ ref('stg_order_lines') }} as lines using (order_id)
    where coalesce(lines.product_name, lines.product_id) is not null
),

contacts as not materialized (
    select
        needs.need,
        needs.order_key,
        needs.is_resolved,
        {{ reporting_month('needs.opened_at') }} as month,
    from {{ ref('conversation_needs') }} as needs
    cross join settings
    where needs.is_inbound and needs.opened_at <= settings.as_of
),

ordered as (
    select month, 'all' as breakdown, null as value from orders
    union all
    select month, 'store', store from orders
    where store is not null
    union all
    select orders.month, 'product', products.product
    from orders
    inner join products using (order_key)
),

asked as (
    select month, 'all' as breakdown, null as value, need, is_resolved from contacts
    union all
    select contacts.month, 'store', orders.store, contacts.need, contacts.is_resolved
    from contacts
    inner join orders using (order_key)
    where orders.store is not null
    union all
    select contacts.month, 'product', products.product, contacts.need, contacts.is_resolved
    from contacts
    inner join products using (order_key)
),

order_counts as (
    select month, breakdown, value, count(*) as n_orders,
    from ordered
    group by month, breakdown, value
),

contact_counts as (
    select
        month,
        breakdown,
        value,
        need,
        count(*) as n_contacts,
        count(is_resolved) as n_judged,
        count(*) filter (where is_resolved) as n_resolved,
    from asked
    group by month, breakdown, value, need
),

final as (
    select
        contact_counts.month,
        contact_counts.breakdown,
        contact_counts.value,
        contact_counts.need,
        contact_counts.n_contacts::integer as n_contacts,
        contact_counts.n_judged::integer as n_judged,
        contact_counts.n_resolved::integer as n_resolved,
        coalesce(order_counts.n_orders, 0)::integer as n_orders,
        {{ share('100 * contact_counts.n_contacts', 'order_counts.n_orders', 'decimal(18, 3)') }} as per_hundred_orders,
    from contact_counts
    left join order_counts
        on
            contact_counts.month = order_counts.month
            and contact_counts.breakdown = order_counts.breakdown
            and contact_counts.value is not distinct from order_counts.value
)

select * from final
