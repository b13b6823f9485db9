-- One row per source of orders.
with final as (
    select
        coalesce(source_name, 'unknown') as source_name,
        count(*) as n_orders,
        count(*) - count(distinct order_key) as n_repeated_keys,
        count(*) filter (where amount < 0 and not is_cancelled) as n_negative_orders,
        (count(*) - count(amount)) / count(*) as without_amount_share,
        (count(*) - count(customer_key)) / count(*) as without_customer_share,
        count(*) filter (where is_cancelled) / count(*) as cancelled_share,
    from marts.fct_orders
    group by 1
    order by 1
)

select * from final
