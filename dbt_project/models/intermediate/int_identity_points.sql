with

sets as (
    select
        sets.identity_key,
        sets.first_seen_at,
        sets.customer_id as crm,
        sets.email,
        numbers.e164_number as phone,
        sets.handle,
    from {{ ref('int_identity_sets') }} as sets
    left join {{ ref('int_phone_numbers') }} as numbers
        on sets.phone = numbers.phone and sets.region is not distinct from numbers.region
),

own as (
    select phones from {{ ref('int_own_identities') }}
),

points as (
    select identity_key, first_seen_at, crm, 'crm' as kind, crm as value from sets where crm is not null
    union all
    select identity_key, first_seen_at, crm, 'email' as kind, email as value from sets where email is not null
    union all
    select identity_key, first_seen_at, crm, 'phone' as kind, phone as value from sets where phone is not null
    union all
    select identity_key, first_seen_at, crm, 'handle' as kind, handle as value from sets where handle is not null
),

final as (
    select points.*,
    from points
    cross join own
    where points.kind <> 'phone' or not list_contains(own.phones, ltrim(points.value, '+'))
)

select * from final
