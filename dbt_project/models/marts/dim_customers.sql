with

last_contacts as (
    select customer_key, max(sent_at) as last_contact_at,
    from {{ ref('int_communications') }}
    group by customer_key
),

last_openings as (
    select customer_key, max(opened_at) as last_opened_at,
    from {{ ref('int_conversations') }}
    group by customer_key
),

segments as (
    select customer_key, segment_name from {{ source('ml', 'segment_scores') }}
),

final as (
    select
        customers.customer_key,
        customers.first_seen_at,
        greatest(last_contacts.last_contact_at, last_openings.last_opened_at) as last_contact_at,
        {{ mask_name('customers.customer_name') }} as name_masked,
        customers.age,
        customers.gender,
        customers.city,
        customers.country,
        customers.language,
        customers.preferred_channel,
        customers.do_not_contact,
        customers.owner_agent_key,
        segments.segment_name,
        customers.n_contact_points::integer as n_contact_points,
        features.n_conversations,
        features.n_channels::integer as n_channels,
        features.n_orders,
        features.order_value,
    from {{ ref('int_customers') }} as customers
    inner join {{ ref('features_customers') }} as features using (customer_key)
    left join last_contacts using (customer_key)
    left join last_openings using (customer_key)
    left join segments using (customer_key)
)

select * from final
