with

settings as (
    select as_of, reporting_timezone from {{ ref('int_as_of') }}
),

levels as (
    select
        levels.*,
        to_timestamp(levels.from_ms / 1000) as from_at,
        case when levels.until_ms < 9000000000000000 then to_timestamp(levels.until_ms / 1000) end as until_at,
        -- what has no first day of its own holds since 1970, or since ever
        (from_at at time zone settings.reporting_timezone)::date <= date '1970-01-01' as is_always,
        settings.as_of,
        settings.reporting_timezone,
    from {{ ref('int_service_levels') }} as levels
    cross join settings
),

final as (
    select
        channel,
        metric,
        case when not is_always then from_at end as valid_from,
        until_at as valid_to,
        (from_at < as_of and coalesce(until_at >= as_of, true)) is true as is_current,
        (within_ms // 60000)::integer as within_minutes,
        case when is_business then 'business' else 'calendar' end as hours,
    from levels
    -- a default that an entry without a first day took the place of
    where coalesce((until_at at time zone reporting_timezone)::date > date '1970-01-01', true)
)

select * from final
