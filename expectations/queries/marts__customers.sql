-- One row: the customers as a whole, and the contact points that make them.
with points as (
    select
        count(*) as n_points,
        count(*) - count(distinct contact_point_key) as n_repeated_points,
        count(*) filter (where is_shared and customer_key is not null) as n_shared_with_customer,
        count(*) filter (
            where kind in ('email', 'phone') and not contains(value_masked, '*')
        ) as n_unmasked_points,
    from marts.dim_contact_points
),

customers as (
    select
        count(*) as n_customers,
        count(*) - count(distinct customer_key) as n_repeated_keys,
        count(*) filter (where name_masked is not null and not contains(name_masked, '*'))
            as n_unmasked_names,
        count(*) filter (where not age between 0 and 120) as n_wrong_ages,
        count(*) filter (where gender not in ('female', 'male', 'other')) as n_wrong_genders,
        coalesce(max(n_contact_points), 0) as most_contact_points,
    from marts.dim_customers
)

select
    'all customers' as customers,
    *,
from customers
cross join points
