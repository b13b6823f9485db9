with

sets as (
    select
        sets.identity_key,
        sets.first_seen_at,
        -- two systems may give the same number to different people
        case when sets.id_namespace = 'crm' then '' else sets.id_namespace || ':' end as prefix,
        case when sets.customer_id is not null then sets.id_namespace end as crm_namespace,
        prefix || sets.customer_id as crm_id,
        prefix || coalesce(merged.customer_id_now, sets.customer_id) as crm_id_now,
        sets.email,
        numbers.e164_number as phone,
        sets.handle,
    from {{ ref('int_identity_sets') }} as sets
    left join {{ ref('int_phone_numbers') }} as numbers
        on sets.phone = numbers.phone and sets.region is not distinct from numbers.region
    left join {{ ref('int_merged_customers') }} as merged
        on sets.customer_id = merged.customer_id and sets.id_namespace = merged.id_namespace
),

own as (
    select phones from {{ ref('int_own_identities') }}
),

crm_ids as (
    select distinct crm_id_now from sets
    where crm_id_now is not null and exists (from {{ ref('int_merged_points') }})
),

-- Ids that a person said are of one customer count as one.
merged_ids as (
    select crm_ids.crm_id_now, merged.person_key,
    from crm_ids
    inner join {{ ref('int_merged_points') }} as merged
        on {{ contact_key("'crm'", 'crm_ids.crm_id_now') }} = merged.contact_point_key
),

known as (
    select sets.*, coalesce(merged_ids.person_key, sets.crm_id_now) as crm,
    from sets
    left join merged_ids using (crm_id_now)
),

points as (
    select identity_key, first_seen_at, crm, crm_namespace, 'crm' as kind, crm_id as value from known
    where crm_id is not null
    union all
    -- an id that was merged into another one stays a way to that customer
    select identity_key, first_seen_at, crm, crm_namespace, 'crm' as kind, crm_id_now as value from known
    where crm_id_now <> crm_id
    union all
    select identity_key, first_seen_at, crm, crm_namespace, 'email' as kind, email as value from known
    where email is not null
    union all
    select identity_key, first_seen_at, crm, crm_namespace, 'phone' as kind, phone as value from known
    where phone is not null
    union all
    select identity_key, first_seen_at, crm, crm_namespace, 'handle' as kind, handle as value from known
    where handle is not null
),

final as (
    select points.*,
    from points
    cross join own
    where points.kind <> 'phone' or not list_contains(own.phones, ltrim(points.value, '+'))
)

select * from final
