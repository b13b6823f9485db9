with

points as (
    select * from {{ ref('int_numbered_points') }}
),

final as (
    select
        points.contact_point_key,
        case
            when not points.is_shared then coalesce(first_points.contact_point_key, points.contact_point_key)
        end as customer_key,
        points.kind,
        points.value,
        points.is_shared,
        points.first_seen_at,
    from points
    left join {{ ref('int_point_groups') }} as point_groups using (point_number)
    left join points as first_points on point_groups.first_point = first_points.point_number
)

select * from final
