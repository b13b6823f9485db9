{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='week',
    post_hook='{{ forget_gone() }}'
) }}

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
all_ends as (
    select
        monday at time zone reporting_timezone as as_of,
        monday at time zone reporting_timezone - to_days(index_window_days) as window_start,
        monday::date - 7 as week,
    from mondays
),

-- What happened within a week's window, and what was bought up to its end, is all that a week is made of.
happened as (
    select
        conversations.occurred_at as happened_at,
        hash('conversation', conversations.row_version, surveys.satisfaction) as said,
    from {{ ref('int_conversations') }} as conversations
    left join {{ ref('int_conversation_surveys') }} as surveys using (conversation_key)
    where conversations.occurred_at > (select min(window_start) from all_ends)
    union all
    select due_at, hash('obligation', customer_key, due_at, is_met) from {{ ref('int_obligations') }}
    union all
    select responded_at, hash('nps', survey_response_key, customer_key, score, responded_at)
    from {{ ref('int_survey_responses') }}
    where kind = 'nps'
),

happened_in as (
    select all_ends.week, sum(happened.said) as said, count(*) as n_said,
    from all_ends
    left join happened
        on happened.happened_at > all_ends.window_start and happened.happened_at <= all_ends.as_of
    group by all_ends.week
),

spans as (
    select
        week,
        coalesce(lag(as_of) over (order by week), '-infinity'::timestamptz) as after,
        as_of as until,
    from all_ends
),

bought as (
    select
        coalesce(ordered_at, '-infinity'::timestamptz) as ordered_at,
        hash(order_key, customer_key, amount, ordered_at, is_cancelled) as said,
    from {{ ref('int_orders') }}
    where customer_key is not null
),

bought_in as (
    select spans.week, sum(bought.said) as said, count(*) as n_said,
    from bought
    inner join spans
        on
            bought.ordered_at <= spans.until
            and (bought.ordered_at > spans.after or (isinf(spans.after) and isinf(bought.ordered_at)))
    group by spans.week
),

versioned as materialized (
    select
        happened_in.week,
        hash(
            all_ends.as_of, all_ends.window_start, happened_in.said, happened_in.n_said,
            sum(bought_in.said) over so_far, sum(bought_in.n_said) over so_far
        ) as row_version,
    from happened_in
    inner join all_ends using (week)
    left join bought_in using (week)
    window so_far as (order by happened_in.week)
),

{{ changed('week', has_several=true) }},

ends as (
    select *
    from all_ends
    {% if is_incremental() %}semi join changed using (week){% endif %}
),

{{ index_parts() }},

described as (
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
        versioned.row_version,
    from parts
    inner join ends using (as_of)
    left join versioned on ends.week = versioned.week
    where parts.n_conversations > 0 or parts.n_obligations_due > 0
),

final as (
    select * from described
    {{ gone('week', has_several=true) }}
)

select * from final
