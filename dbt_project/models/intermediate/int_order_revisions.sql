with

{{ spans('orders', 'order_id', ['amount', 'status', 'ordered_at']) }},

orders as (
    select
        orders.source_name,
        orders.order_id,
        orders.customer_hash,
        orders.ordered_at,
        orders.amount,
        orders.is_cancelled,
        orders.n_lines,
    from {{ ref('int_orders') }} as orders
    inner join superseded
        on orders.source_name = superseded.source_name and orders.order_id = superseded.order_id
    where orders.customer_hash is not null
),

line_totals as (
    select
        order_id,
        sum((quantity * unit_price)::decimal(18, 4))::decimal(18, 2) as amount,
        sum(quantity) as quantity,
        min(ordered_at) as ordered_at,
    from {{ ref('stg_order_lines') }}
    where order_id in (select order_id from orders where n_lines > 0)
    group by order_id
),

-- As int_orders makes an order of its newest version.
told as (
    select
        spans.order_id,
        orders.customer_hash,
        spans.status,
        spans.known_from,
        spans.known_until,
        line_totals.quantity,
        coalesce(spans.ordered_at, line_totals.ordered_at) as ordered_at,
        coalesce(spans.amount, line_totals.amount) as amount,
    from spans
    inner join orders
        on spans.source_name = orders.source_name and spans.order_id = orders.order_id
    left join line_totals on spans.order_id = line_totals.order_id
),

counted as (
    select * from told
    where ordered_at is not null and not {{ is_cancelled('status', 'quantity', 'amount', 'order_id') }}
),

-- A version counts while it was the newest known, and what int_orders counts of it at all times is taken back.
moves as (
    select customer_hash, ordered_at as counts_from, -amount as amount, -1 as n_orders,
    from orders
    where ordered_at is not null and not is_cancelled
    union all
    select customer_hash, greatest(ordered_at, known_from), amount, 1
    from counted
    union all
    select customer_hash, greatest(ordered_at, known_until), -amount, -1
    from counted
    where known_until is not null
),

final as (
    select
        customer_hash,
        counts_from,
        coalesce(sum(amount), 0)::decimal(18, 2) as amount,
        sum(n_orders)::integer as n_orders,
    from moves
    group by customer_hash, counts_from
    having coalesce(sum(amount), 0) <> 0 or sum(n_orders) <> 0
)

select * from final
