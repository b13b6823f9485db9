-- One row for customers with orders and one for those without: what segments are made from.
with customers as (
    select
        *,
        if(is_contact_only, 'contact only', 'buyers') as customers,
    from features.features_customers
),

final as (
    select
        customers,
        count(*) as n_customers,
        count(*) - count(distinct customer_key) as n_repeated_keys,
        count(*) filter (where (n_orders = 0) != is_contact_only) as n_wrong_kind,
        count(*) filter (where n_conversations_90d > n_conversations) as n_wrong_windows,
        count(*) filter (where order_value < 0) as n_negative_values,
        count(*) filter (where not mean_satisfaction between 0 and 1) as n_wrong_satisfaction,
        count(*) filter (where not age between 0 and 120) as n_wrong_ages,
        max(n_conversations) / nullif(sum(n_conversations), 0) as greatest_share,
    from customers
    group by customers
    order by customers
)

select * from final
