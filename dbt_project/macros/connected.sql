{# Who hangs together: CTEs that give `<name>` (point_number, first_point), a row per point that some evidence
   joins to another, with the smallest number of those it hangs together with. Takes a CTE of that evidence
   (evidence_id, point_number): points with the same evidence_id belong together. #}
{% macro connected(name, evidence) %}
{{ name }}_hubs as (
    select evidence_id, min(point_number) as hub,
    from {{ evidence }}
    group by evidence_id
    having count(*) > 1
),

{{ name }}_pairs as (
    select distinct hubs.hub as one, said.point_number as other,
    from {{ evidence }} as said
    inner join {{ name }}_hubs as hubs using (evidence_id)
    where hubs.hub <> said.point_number
),

{{ name }}_edges as (
    select one, other from {{ name }}_pairs
    union all
    select other, one from {{ name }}_pairs
),

-- One step along the edges is enough for most customers.
{{ name }}_steps as materialized (
    select one as point_number, least(one, min(other)) as first_point,
    from {{ name }}_edges
    group by one
),

-- Materialized: else all pairs of steps with different numbers may be made before the edges are asked.
{{ name }}_arrivals as materialized (
    select edges.other as point_number, steps.first_point,
    from {{ name }}_edges as edges
    inner join {{ name }}_steps as steps on edges.one = steps.point_number
),

-- The steps that meet: their smallest number spreads until nothing changes.
{{ name }}_meetings as materialized (
    select distinct arrivals.first_point as one, steps.first_point as other,
    from {{ name }}_arrivals as arrivals
    inner join {{ name }}_steps as steps using (point_number)
    where arrivals.first_point <> steps.first_point
),

{{ name }}_spread (point_number, first_point) using key (point_number) as (
    select one, least(one, min(other)) from {{ name }}_meetings
    group by one
    union
    select known.point_number, min(spread.first_point)
    from {{ name }}_spread as spread
    inner join {{ name }}_meetings as meetings on spread.point_number = meetings.one
    inner join recurring.{{ name }}_spread as known on meetings.other = known.point_number
    where spread.first_point < known.first_point
    group by known.point_number
),

{{ name }} as (
    select steps.point_number, coalesce(spread.first_point, steps.first_point) as first_point,
    from {{ name }}_steps as steps
    left join {{ name }}_spread as spread on steps.first_point = spread.point_number
)
{%- endmacro %}
