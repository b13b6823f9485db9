{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='month',
    post_hook='{{ forget_gone() }}'
) }}

with

settings as (
    select reporting_timezone from {{ ref('int_as_of') }}
),

surveys as (
    select
        coalesce(surveys.responded_at, conversations.occurred_at) as happened_at,
        conversations.channel,
        surveys.customer_key,
        surveys.satisfaction,
    from {{ ref('int_survey_responses') }} as surveys
    left join {{ ref('int_conversations') }} as conversations using (conversation_key)
),

-- What happened, and all that is counted of it as one number.
told as (
    select messages.sent_at as happened_at, hash(messages.row_version, scores.sentiment) as said,
    from {{ ref('int_communications') }} as messages
    left join {{ source('ml', 'sentiment_scores') }} as scores using (text_hash)
    union all
    select opened_at, hash('opened', row_version) from {{ ref('int_conversations') }}
    union all
    select closed_at, hash('closed', row_version) from {{ ref('int_conversations') }}
    union all
    select happened_at, hash('survey', happened_at, channel, customer_key, satisfaction) from surveys
),

versioned as materialized (
    select {{ reporting_month('told.happened_at') }} as month, hash(sum(told.said), count(*)) as row_version,
    from told
    cross join settings
    where told.happened_at is not null
    group by month
),

{{ changed('month', has_several=true) }},

occurrences as (
    select
        messages.sent_at as happened_at,
        messages.channel,
        messages.customer_key,
        messages.direction as what,
        null::decimal(18, 6) as measure,
        scores.sentiment,
    from {{ ref('int_communications') }} as messages
    cross join settings
    {{ of_changed_months('messages.sent_at') }}
    left join {{ source('ml', 'sentiment_scores') }} as scores using (text_hash)
    union all
    select opened_at, channel, customer_key, 'opened', first_reply_minutes, null
    from {{ ref('int_conversations') }}
    cross join settings
    {{ of_changed_months('opened_at') }}
    union all
    select closed_at, channel, customer_key, 'closed', null, null
    from {{ ref('int_conversations') }}
    cross join settings
    {{ of_changed_months('closed_at') }}
    union all
    select happened_at, channel, customer_key, 'survey', satisfaction, null
    from surveys
    cross join settings
    {{ of_changed_months('happened_at') }}
),

summed as (
    select
        date_trunc('month', day)::date as month,
        (occurrences.happened_at at time zone settings.reporting_timezone)::date as day,
        coalesce(occurrences.channel, 'unknown') as channel,
        count(*) filter (where what in ('inbound', 'outbound'))::integer as n_communications,
        count(*) filter (where what = 'inbound')::integer as n_inbound,
        count(*) filter (where what = 'outbound')::integer as n_outbound,
        count(sentiment)::integer as n_sentiment_scored,
        count(*) filter (where sentiment = 'negative')::integer as n_sentiment_negative,
        count(*) filter (where sentiment = 'positive')::integer as n_sentiment_positive,
        {{ share("count(*) filter (where sentiment = 'negative')", 'count(sentiment)') }} as negative_share,
        count(*) filter (where what = 'opened')::integer as n_conversations_opened,
        count(*) filter (where what = 'closed')::integer as n_conversations_closed,
        count(measure) filter (where what = 'survey')::integer as n_survey_responses,
        coalesce(sum(measure) filter (where what = 'survey'), 0)::decimal(18, 6) as satisfaction_sum,
        (median(measure) filter (where what = 'opened'))::decimal(18, 3) as median_first_reply_minutes,
        count(distinct customer_key)::integer as n_customers,
    from occurrences
    cross join settings
    where occurrences.happened_at is not null
    group by day, coalesce(occurrences.channel, 'unknown')
),

described as (
    select summed.*, versioned.row_version,
    from summed
    inner join versioned using (month)
),

final as (
    select * from described
    {{ gone('month', has_several=true) }}
)

select * from final
