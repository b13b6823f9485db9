-- One row per channel: whether the daily figures add up to the facts, and whether the newest full
-- week looks like the four before it.
with as_of as (
    select max(day) as last_day from marts.agg_channel_daily
),

daily as (
    select
        days.channel,
        sum(days.n_communications) as n_in_days,
        sum(days.n_communications) filter (where days.day > as_of.last_day - 7) as n_last_week,
        sum(days.n_communications) filter (
            where days.day between as_of.last_day - 34 and as_of.last_day - 7
        ) / 4 as n_usual_week,
        count(*) - count(distinct days.day) as n_repeated_days,
        count(*) filter (where days.satisfaction_sum > days.n_survey_responses) as n_wrong_sums,
    from marts.agg_channel_daily as days
    cross join as_of
    group by days.channel
),

facts as (
    select
        coalesce(channel, 'unknown') as channel,
        count(*) as n_in_facts,
    from marts.fct_communications
    where sent_at is not null
    group by 1
),

final as (
    select
        coalesce(daily.channel, facts.channel) as channel,
        coalesce(facts.n_in_facts, 0) - coalesce(daily.n_in_days, 0)::bigint as n_difference,
        coalesce(daily.n_repeated_days, 0) as n_repeated_days,
        coalesce(daily.n_wrong_sums, 0) as n_wrong_sums,
        case
            when daily.n_usual_week >= 50
                then (coalesce(daily.n_last_week, 0) / daily.n_usual_week)::double
        end as week_ratio,
    from daily
    full join facts on daily.channel = facts.channel
    order by 1
)

select * from final
