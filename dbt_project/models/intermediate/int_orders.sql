with

lines as (
    select
        source_name,
        order_id,
        quantity,
        (quantity * unit_price)::decimal(18, 4) as amount,
        status,
        ordered_at,
        {{ identity_key('null::varchar') }} as identity_key,
    from {{ ref('stg_order_lines') }}
),

line_totals as (
    select
        order_id,
        min(source_name) as source_name,
        count(*) as n_lines,
        sum(amount)::decimal(18, 2) as amount,
        sum(quantity) as quantity,
        min(status) as status,
        min(ordered_at) as ordered_at,
        min(identity_key) as identity_key,
    from lines
    group by order_id
),

written as (
    select
        source_name,
        order_id,
        {{ identity_key('null::varchar') }} as identity_key,
        ordered_at,
        amount,
        currency,
        status,
        store,
    from {{ ref('stg_orders') }}
),

united as (
    select
        written.source_name,
        written.order_id,
        written.identity_key,
        coalesce(written.ordered_at, line_totals.ordered_at) as ordered_at,
        coalesce(written.amount, line_totals.amount) as amount,
        written.currency,
        written.status,
        written.store,
        coalesce(line_totals.n_lines, 0) as n_lines,
        line_totals.quantity,
    from written
    left join line_totals using (order_id)
    union all
    select
        line_totals.source_name,
        line_totals.order_id,
        line_totals.identity_key,
        line_totals.ordered_at,
        line_totals.amount,
        null as currency,
        line_totals.status,
        null as store,
        line_totals.n_lines,
        line_totals.quantity,
    from line_totals
    anti join written using (order_id)
),

final as (
    select
        {{ row_key('order', ['united.source_name', 'united.order_id']) }} as order_key,
        identities.customer_key,
        united.source_name,
        united.order_id,
        united.ordered_at,
        united.amount,
        united.currency,
        united.status,
        united.store,
        united.n_lines,
        {{ is_cancelled('united.status', 'united.quantity', 'united.amount', 'united.order_id') }} as is_cancelled,
        identities.customer_hash,
    from united
    left join {{ ref('int_identities') }} as identities using (identity_key)
)

select * from final
