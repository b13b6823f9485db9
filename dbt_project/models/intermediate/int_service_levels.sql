with

settings as (
    select reporting_timezone from {{ ref('int_as_of') }}
),

-- Without a promise of its own, a channel's first answer is due after `reply_within_minutes`.
promises as (
    select
        split_part(key, '.', 2) as channel,
        'first_reply' as metric,
        try_cast(value as bigint) as within_minutes,
        'calendar' as hours,
        date '0001-01-01' as since,
    from {{ source('ops', 'settings') }}
    where key like 'reply_within_minutes.%'
    union all
    select promise.channel, promise.metric, promise.within_minutes, promise.hours, promise.since,
    from (
        select
            unnest(from_json(
                value,
                '[{"channel":"VARCHAR","metric":"VARCHAR","within_minutes":"BIGINT","hours":"VARCHAR","since":"DATE"}]'
            )) as promise
        from {{ source('ops', 'settings') }}
        where key = 'service_levels'
    )
),

final as (
    select
        promises.channel,
        promises.metric,
        promises.within_minutes * 60000 as within_ms,
        promises.hours = 'business' as is_business,
        epoch_ms(promises.since::timestamp at time zone settings.reporting_timezone) as from_ms,
        coalesce(
            epoch_ms(
                lead(promises.since) over (partition by promises.channel, promises.metric order by promises.since)
                ::timestamp at time zone settings.reporting_timezone
            ),
            9000000000000000
        ) as until_ms,
    from promises
    cross join settings
)

select * from final
