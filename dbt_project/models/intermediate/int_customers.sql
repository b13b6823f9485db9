with

customers as (
    select customer_key, min(first_seen_at) as first_seen_at, count(*) as n_contact_points,
    from {{ ref('int_contact_points') }}
    where customer_key is not null
    group by customer_key
),

written as (
    select {{ identity_key('null::varchar') }} as identity_key, *,
    from {{ ref('stg_customers') }}
),

-- Newest first; each attribute comes from the newest row that has it.
profiles as (
    select
        identities.customer_key,
        written.*,
        agents.agent_key,
        row_number() over (
            order by
                written.updated_at nulls first, written.extracted_at, written.file_name, written.row_number,
                written.source_name, written.batch_id
        ) as recency,
    from written
    inner join {{ ref('int_identities') }} as identities using (identity_key)
    left join {{ ref('int_agent_aliases') }} as agents on lower(written.agent) = agents.alias
    -- of two that were merged, the one that stays says who the customer is
    where identities.customer_key is not null and written.merged_into is null
),

described as (
    select
        customer_key,
        {% for attribute in [
            'customer_name', 'age', 'gender', 'city', 'country', 'language', 'preferred_channel', 'agent_key'
        ] -%}
            arg_max({{ attribute }}, recency) filter (where {{ attribute }} is not null) as {{ attribute }},
        {% endfor -%}
        coalesce(bool_or(do_not_contact), false) as do_not_contact,
    from profiles
    group by customer_key
),

names as (
    select identities.customer_key, max(sets.customer_name) as customer_name,
    from {{ ref('int_identity_sets') }} as sets
    inner join {{ ref('int_identities') }} as identities using (identity_key)
    where identities.customer_key is not null
    group by identities.customer_key
),

final as (
    select
        customers.customer_key,
        coalesce(described.customer_name, names.customer_name) as customer_name,
        described.age,
        described.gender,
        described.city,
        described.country,
        described.language,
        described.preferred_channel,
        coalesce(described.do_not_contact, false) as do_not_contact,
        described.agent_key as owner_agent_key,
        customers.n_contact_points,
        customers.first_seen_at,
        {{ customer_hash('customers.customer_key') }} as customer_hash,
    from customers
    left join described using (customer_key)
    left join names using (customer_key)
)

select * from final
