with recursive

evidence as (
    select mentions.identity_key, points.point_number,
    from {{ ref('int_identity_points') }} as mentions
    inner join {{ ref('int_numbered_points') }} as points using (kind, value)
    where not points.is_shared
),

hubs as (
    select identity_key, min(point_number) as hub,
    from evidence
    group by identity_key
    having count(*) > 1
),

pairs as (
    select distinct hubs.hub as one, evidence.point_number as other,
    from evidence
    inner join hubs using (identity_key)
    where hubs.hub <> evidence.point_number
),

edges as (
    select one, other from pairs
    union all
    select other, one from pairs
),

-- One step along the edges is enough for most customers.
steps as materialized (
    select one as point_number, least(one, min(other)) as first_point,
    from edges
    group by one
),

-- Materialized: else all pairs of steps with different numbers may be made before the edges are asked.
arrivals as materialized (
    select edges.other as point_number, steps.first_point,
    from edges
    inner join steps on edges.one = steps.point_number
),

-- The steps that meet: their smallest number spreads until nothing changes.
meetings as materialized (
    select distinct arrivals.first_point as one, steps.first_point as other,
    from arrivals
    inner join steps using (point_number)
    where arrivals.first_point <> steps.first_point
),

groups (point_number, first_point) using key (point_number) as (
    select one, least(one, min(other)) from meetings
    group by one
    union
    select known.point_number, min(groups.first_point)
    from groups
    inner join meetings on groups.point_number = meetings.one
    inner join recurring.groups as known on meetings.other = known.point_number
    where groups.first_point < known.first_point
    group by known.point_number
),

final as (
    select steps.point_number, coalesce(groups.first_point, steps.first_point) as first_point,
    from steps
    left join groups on steps.first_point = groups.point_number
)

select * from final
