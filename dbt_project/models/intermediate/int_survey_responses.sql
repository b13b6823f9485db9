with

settings as (
    select ces_easy_is from {{ ref('int_as_of') }}
),

conversations as (
    select
        conversation_key,
        customer_key,
        case when customer_key is not null then customer_hash end as customer_hash,
        source_name,
        conversation_id,
        closed_at,
    from {{ ref('int_conversations') }}
),

-- Three places a survey is found: a file of its own, a case, a message.
from_files as (
    select
        {{ row_key('survey', ["'file'", 'source_name', 'survey_id']) }} as survey_response_key,
        source_name,
        conversation_id as asked_conversation_id,
        null::varchar as row_conversation_key,
        {{ identity_key('null::varchar') }} as identity_key,
        coalesce(survey_kind, 'csat') as kind,
        survey_score as score,
        survey_remark as comment,
        responded_at,
    from {{ ref('stg_survey_responses') }}
),

from_cases as (
    select
        {{ row_key('survey', ["'case'", 'source_name', 'conversation_id']) }} as survey_response_key,
        source_name,
        null::varchar as asked_conversation_id,
        {{ row_key('conversation', ['source_name', 'conversation_id']) }} as row_conversation_key,
        null::ubigint as identity_key,
        coalesce(survey_kind, 'csat') as kind,
        survey_score as score,
        survey_remark as comment,
        survey_at as responded_at,
    from {{ ref('stg_conversations') }}
    where survey_score is not null or survey_remark is not null
),

from_messages as (
    select
        {{ row_key('survey', ["'message'", 'communication_key']) }} as survey_response_key,
        source_name,
        null::varchar as asked_conversation_id,
        conversation_key as row_conversation_key,
        null::ubigint as identity_key,
        coalesce(survey_kind, 'csat') as kind,
        survey_score as score,
        survey_remark as comment,
        sent_at as responded_at,
    from {{ ref('int_communications') }}
    where survey_score is not null or survey_remark is not null
),

responses as (
    select * from from_files
    union all
    select * from from_cases
    union all
    select * from from_messages
),

-- What a survey calls its conversation: an id of its own source, an id only one source uses, or
-- the id of a single message (a call).
only_ids as (
    select conversation_id, min(conversation_key) as conversation_key,
    from conversations
    semi join from_files on conversations.conversation_id = from_files.asked_conversation_id
    group by conversation_id
    having count(*) = 1
),

message_ids as (
    select message_id, min(conversation_key) as conversation_key,
    from {{ ref('int_communications') }}
    semi join from_files on message_id = from_files.asked_conversation_id
    group by message_id
    having count(distinct conversation_key) = 1
),

named as (
    select
        responses.*,
        coalesce(
            responses.row_conversation_key,
            same_source.conversation_key,
            only_ids.conversation_key,
            message_ids.conversation_key
        ) as named_conversation_key,
        identities.customer_key as own_customer_key,
        identities.customer_hash as own_customer_hash,
    from responses
    left join conversations as same_source
        on
            responses.source_name = same_source.source_name
            and responses.asked_conversation_id = same_source.conversation_id
    left join only_ids on responses.asked_conversation_id = only_ids.conversation_id
    left join message_ids on responses.asked_conversation_id = message_ids.message_id
    left join {{ ref('int_identities') }} as identities on responses.identity_key = identities.identity_key
),

-- Without an id: the only conversation closed for that customer in the days before.
recent as (
    select
        named.survey_response_key,
        min(conversations.conversation_key) as conversation_key,
    from named
    inner join conversations
        on
            named.own_customer_key = conversations.customer_key
            and conversations.closed_at <= named.responded_at
            and conversations.closed_at >= named.responded_at - to_days({{ var('survey_attach_days') }})
    where named.named_conversation_key is null
    group by named.survey_response_key
    having count(*) = 1
),

attached as (
    select
        named.*,
        coalesce(named.named_conversation_key, recent.conversation_key) as conversation_key,
        case
            when named.row_conversation_key is not null then 'same_row'
            when named.named_conversation_key is not null then 'conversation_id'
            when recent.conversation_key is not null then 'only_recent_conversation'
        end as attached_by,
    from named
    left join recent using (survey_response_key)
),

final as (
    select
        attached.survey_response_key,
        attached.conversation_key,
        coalesce(attached.own_customer_key, conversations.customer_key) as customer_key,
        attached.kind,
        attached.score,
        {{ satisfaction('attached.kind', 'attached.score', 'settings.ces_easy_is') }} as satisfaction,
        attached.comment,
        attached.responded_at,
        attached.attached_by,
        attached.source_name,
        case
            when attached.own_customer_key is not null then attached.own_customer_hash else conversations.customer_hash
        end as customer_hash,
    from attached
    cross join settings
    left join conversations on attached.conversation_key = conversations.conversation_key
)

select * from final
