with

-- Ids of one system that stand for different customers tell a shared point; ids of two systems do not.
named as (
    select
        kind,
        value,
        crm_namespace,
        min(first_seen_at) as first_seen_at,
        min(crm) as crm,
        count(distinct crm) as n_customers,
    from {{ ref('int_identity_points') }}
    group by kind, value, crm_namespace
),

points as (
    select
        kind,
        value,
        min(first_seen_at) as first_seen_at,
        kind <> 'crm' and max(n_customers) > 1 as is_shared,
        case when kind = 'crm' then min(crm_namespace) end as crm_namespace,
        case when kind = 'crm' then min(crm) end as crm,
    from named
    group by kind, value
),

keyed as (
    select {{ contact_key('kind', 'value') }} as contact_point_key, *,
    from points
),

final as (
    select *, row_number() over (order by first_seen_at nulls last, contact_point_key) as point_number,
    from keyed
)

select * from final
