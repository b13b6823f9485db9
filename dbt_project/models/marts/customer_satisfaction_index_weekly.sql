with

settings as (
    select last_day, reporting_timezone, index_window_days, value_floor, cv_basis, from {{ ref('int_as_of') }}
),

mondays as (
    select
        reporting_timezone,
        index_window_days,
        unnest(generate_series(
            date_trunc('week', last_day + 1) - to_weeks({{ var('index_history_weeks') }} - 1),
            date_trunc('week', last_day + 1),
            interval 1 week
        )) as monday,
    from settings
),

-- A week ends with its Sunday; only weeks that are over have a row.
ends as (
    select
        monday at time zone reporting_timezone as as_of,
        monday at time zone reporting_timezone - to_days(index_window_days) as window_start,
        monday::date - 7 as week,
    from mondays
),

{{ index_parts() }},

final as (
    select
        ends.week,
        parts.customer_key,
        parts.cs,
        parts.csf,
        parts.cv,
        parts.tp,
        {{ place_in_value_band() }} as cs_in_value_band,
        parts.value_band,
        parts.n_conversations,
        parts.n_surveyed,
        parts.n_obligations_due,
        parts.n_obligations_met,
    from parts
    inner join ends using (as_of)
    where parts.n_conversations > 0 or parts.n_obligations_due > 0
)

select * from final
