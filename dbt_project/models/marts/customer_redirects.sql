with

-- A customer key is always the key of one of its contact points: so each point that is not (or no
-- longer) the earliest of its group leads to the key that counts now.
final as (
    select
        contact_point_key as old_customer_key,
        customer_key,
    from {{ ref('int_contact_points') }}
    where customer_key is not null and contact_point_key <> customer_key
)

select * from final
