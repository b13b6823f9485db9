with

points as (
    select
        kind,
        value,
        min(first_seen_at) as first_seen_at,
        kind <> 'crm' and count(distinct crm) > 1 as is_shared,
    from {{ ref('int_identity_points') }}
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
