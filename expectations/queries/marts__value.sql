-- One row: whether what is said of buyers is possible, and agrees with what they bought.
with facts as (
    select count(distinct customer_key) as n_buyers,
    from marts.fct_orders
    where not is_cancelled and customer_key is not null and ordered_at is not null
),

final as (
    select
        'all' as what,
        (count(*) - max(facts.n_buyers))::bigint as n_difference,
        count(*) filter (where p_alive not between 0 and 1) as n_wrong_chances,
        count(*) filter (where least(expected_orders_90d, expected_value_90d) < 0) as n_negative,
        count(*) filter (where expected_orders_90d > expected_orders_365d) as n_shrinking,
        count(*) filter (where length(rfm) <> 3 or regexp_matches(rfm, '[^1-5]')) as n_wrong_fifths,
        (count(*) filter (where customer_key not in (select customer_key from marts.customer_retention)))
            as n_strangers,
    from marts.customer_value
    cross join facts
)

select * from final
