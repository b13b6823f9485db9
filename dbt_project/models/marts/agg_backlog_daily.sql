with

settings as (
    select last_day, reporting_timezone from {{ ref('int_as_of') }}
),

conversations as (
    select
        coalesce(channel, 'unknown') as channel,
        status,
        (opened_at at time zone settings.reporting_timezone)::date as opened_on,
        (first_closed_at at time zone settings.reporting_timezone)::date as first_closed_on,
        (reopened_at at time zone settings.reporting_timezone)::date as reopened_on,
        (closed_at at time zone settings.reporting_timezone)::date as closed_on,
        reopened_at > first_closed_at as is_back,
    from {{ ref('int_conversation_metrics') }}
    cross join settings
    -- nobody knows on which days these were open
    where opened_at is not null and (status = 'open' or closed_at is not null)
),

changes as (
    select channel, opened_on as day, 'opened' as what from conversations
    union all
    select channel, greatest(opened_on, first_closed_on), 'closed' from conversations
    where is_back
    union all
    select channel, reopened_on, 'reopened' from conversations
    where is_back
    union all
    -- closed before the customer came back, and never said to be closed again
    select channel, greatest(opened_on, closed_on, case when is_back then reopened_on end), 'closed' from conversations
    where status = 'closed'
),

daily as (
    select
        changes.channel,
        -- a wrong year is no reason for a row for each day since
        greatest(changes.day, settings.last_day - 3653) as shown_on,
        count(*) filter (where what = 'opened') as n_opened,
        count(*) filter (where what = 'reopened') as n_reopened,
        count(*) filter (where what = 'closed') as n_closed,
    from changes
    cross join settings
    group by changes.channel, shown_on
),

days as (
    select
        firsts.channel,
        unnest(generate_series(firsts.first_day::timestamp, settings.last_day::timestamp, interval 1 day))::date as day,
    from (select channel, min(shown_on) as first_day from daily group by channel) as firsts
    cross join settings
),

final as (
    select
        days.day,
        days.channel,
        coalesce(daily.n_opened, 0)::integer as n_opened,
        coalesce(daily.n_reopened, 0)::integer as n_reopened,
        coalesce(daily.n_closed, 0)::integer as n_closed,
        sum(coalesce(daily.n_opened + daily.n_reopened - daily.n_closed, 0)) over (
            partition by days.channel order by days.day
        )::integer as n_open_at_end,
    from days
    left join daily on days.channel = daily.channel and days.day = daily.shown_on
)

select * from final
