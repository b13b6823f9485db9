with

{{ spans('survey_responses', 'survey_id', ['survey_kind', 'survey_score', 'responded_at']) }},

settings as (
    select ces_easy_is from {{ ref('int_as_of') }}
),

named as (
    select
        source_name,
        survey_id,
        {{ row_key('survey', ["'file'", 'source_name', 'survey_id']) }} as survey_response_key,
    from superseded
),

responses as (
    select
        named.source_name,
        named.survey_id,
        responses.customer_hash,
        responses.satisfaction,
        responses.responded_at,
    from {{ ref('int_survey_responses') }} as responses
    inner join named on responses.survey_response_key = named.survey_response_key
    where responses.customer_hash is not null
),

-- As int_survey_responses makes an answer of its newest version.
told as (
    select
        responses.customer_hash,
        {{ satisfaction("coalesce(spans.survey_kind, 'csat')", 'spans.survey_score', 'settings.ces_easy_is') }}
            as satisfaction,
        spans.responded_at,
        spans.known_from,
        spans.known_until,
    from spans
    inner join responses
        on spans.source_name = responses.source_name and spans.survey_id = responses.survey_id
    cross join settings
),

counted as (
    select * from told
    where satisfaction is not null and responded_at is not null
),

-- A version counts while it was the newest known, and what int_survey_responses tells at all times is taken back.
moves as (
    select customer_hash, responded_at as counts_from, -satisfaction as satisfaction, -1 as n_surveys,
    from responses
    where satisfaction is not null and responded_at is not null
    union all
    select customer_hash, greatest(responded_at, known_from), satisfaction, 1
    from counted
    union all
    select customer_hash, greatest(responded_at, known_until), -satisfaction, -1
    from counted
    where known_until is not null
),

final as (
    select
        customer_hash,
        counts_from,
        sum(satisfaction)::decimal(18, 6) as satisfaction,
        sum(n_surveys)::integer as n_surveys,
    from moves
    group by customer_hash, counts_from
    having sum(satisfaction) <> 0 or sum(n_surveys) <> 0
)

select * from final
