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

-- The smallest number spreads along the edges until nothing changes; after the first step most
-- customers are done.
groups (point_number, first_point) using key (point_number) as (
    select one, least(one, min(other)) from edges
    group by one
    union
    select known.point_number, min(groups.first_point)
    from groups
    inner join edges on groups.point_number = edges.one
    inner join recurring.groups as known on edges.other = known.point_number
    where groups.first_point < known.first_point
    group by known.point_number
),

final as (
    select point_number, first_point from groups
)

select * from final
