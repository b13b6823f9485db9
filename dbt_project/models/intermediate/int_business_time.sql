-- The span is fixed: what a build of today works out must be what one of next year does.
with

settings as (
    select reporting_timezone from {{ ref('int_as_of') }}
),

days as (
    select unnest(generate_series(timestamp '1990-01-01', timestamp '2059-12-31', interval 1 day))::date as day
),

intervals as (
    select
        epoch_ms((days.day + hours.opens) at time zone settings.reporting_timezone) as opens_ms,
        epoch_ms(
            -- 24:00 is written down as 23:59
            case when hours.closes = time '23:59' then days.day + interval 1 day else days.day + hours.closes end
            at time zone settings.reporting_timezone
        ) as closes_ms,
    from days
    inner join {{ source('ops', 'business_hours') }} as hours on isodow(days.day) = hours.day_of_week
    cross join settings
    anti join {{ source('ops', 'holidays') }} as holidays on days.day = holidays.day
),

-- Intervals that overlap count once.
apart as (
    select
        greatest(
            opens_ms,
            max(closes_ms) over (
                order by opens_ms, closes_ms rows between unbounded preceding and 1 preceding
            )
        ) as opens_ms,
        closes_ms,
    from intervals
),

-- What lies before them all is a row of no length: so every moment finds one.
begun as (
    select * from apart
    where closes_ms > opens_ms
    union all
    select -1000000000000000, -1000000000000000
    from apart
    having count(*) > 0
),

final as (
    select
        opens_ms,
        closes_ms,
        coalesce(
            sum(closes_ms - opens_ms) over (order by opens_ms rows between unbounded preceding and 1 preceding), 0
        )::bigint as ms_before,
    from begun
)

select * from final
order by opens_ms
