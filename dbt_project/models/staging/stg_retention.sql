with

limits as (
    select
        unnest(
            case
                when key = 'retention.communications'
                    then ['communications', 'email_messages', 'call_legs', 'transcripts']
                else [replace(key, 'retention.', '')]
            end
        ) as entity,
        value::integer as keep_days,
    from {{ source('ops', 'settings') }}
    where key like 'retention.%'
),

settings as (
    select
        coalesce(max(value) filter (where key = 'reporting_timezone'), 'UTC') as reporting_timezone,
        nullif(max(value) filter (where key = 'as_of_override'), '') as as_of_override,
    from {{ source('ops', 'settings') }}
    -- without a limit nothing has to be read
    having exists (select 1 from limits)
),

{{ moments(before_retention=true) }},

looked_at as (
    select
        coalesce(
            fixed_moment,
            (last_day::timestamp + interval 1 day) at time zone reporting_timezone
        ) as as_of,
    from moments
),

final as (
    select
        limits.entity,
        limits.keep_days,
        looked_at.as_of,
        looked_at.as_of - to_days(limits.keep_days) as keep_from,
    from limits
    cross join looked_at
)

select * from final
