with

-- Two kinds of teachers: who read the message, and who wrote a remark beside a score of their own.
from_messages as (
    select
        communication_key as sentiment_key,
        customer_key,
        'message' as told_by,
        coalesce(text_masked, subject_masked) as text,
        language,
        channel,
        sentiment,
        sent_at as told_at,
    from {{ ref('int_communications') }}
    where sentiment is not null and text_hash is not null
),

remarks as (
    select
        surveys.*,
        {{ mask_text('surveys.comment') }} as text,
        conversations.channel,
        coalesce(surveys.responded_at, conversations.occurred_at) as told_at,
    from {{ ref('int_survey_responses') }} as surveys
    left join {{ ref('int_conversations') }} as conversations using (conversation_key)
    where surveys.comment is not null and surveys.score is not null and surveys.kind in ('csat', 'nps')
),

from_surveys as (
    select
        survey_response_key as sentiment_key,
        customer_key,
        'survey' as told_by,
        text,
        {{ as_language('null::varchar', 'text') }} as language,
        channel,
        case
            when score <= (case kind when 'csat' then 2 else 6 end) then 'negative'
            when score >= (case kind when 'csat' then 4 else 9 end) then 'positive'
            else 'neutral'
        end as sentiment,
        told_at,
    from remarks
),

final as (
    select * from from_messages
    union all
    select * from from_surveys
)

select * from final
