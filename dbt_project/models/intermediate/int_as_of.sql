with

settings as (
    select
        coalesce(max(value) filter (where key = 'reporting_timezone'), 'UTC') as reporting_timezone,
        coalesce(max(value) filter (where key = 'default_region'), 'CN') as default_region,
        coalesce(max(value) filter (where key = 'index_window_days'), '90')::integer as index_window_days,
        coalesce(max(value) filter (where key = 'value_floor'), '0.1')::decimal(9, 6) as value_floor,
        coalesce(max(value) filter (where key = 'cv_basis'), 'monetary') as cv_basis,
        coalesce(max(value) filter (where key = 'unanswered_days'), '3')::integer as unanswered_days,
        coalesce(max(value) filter (where key = 'ces_easy_is'), 'high') as ces_easy_is,
        nullif(max(value) filter (where key = 'as_of_override'), '') as as_of_override,
    from {{ source('ops', 'settings') }}
),

{{ moments() }},

final as (
    select
        coalesce(
            fixed_moment,
            (last_day::timestamp + interval 1 day) at time zone reporting_timezone
        ) as as_of,
        last_day,
        reporting_timezone,
        default_region,
        index_window_days,
        value_floor,
        cv_basis,
        unanswered_days,
        ces_easy_is,
    from moments
)

select * from final
