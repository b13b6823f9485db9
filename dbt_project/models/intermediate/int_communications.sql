with

messages as (
    select * from {{ ref('int_messages') }}
),

-- A conversation id may name a case of another system: then the message belongs to that case.
cases as (
    select
        conversation_id,
        min(source_name) as case_source,
    from {{ ref('stg_conversations') }}
    group by conversation_id
    having count(distinct source_name) = 1
),

placed as (
    select
        messages.*,
        case
            when messages.conversation_id is not null then coalesce(cases.case_source, messages.source_name)
            else messages.source_name
        end as conversation_source,
        coalesce(
            messages.conversation_id, threads.conversation_id, 'thread:' || messages.message_id
        ) as effective_conversation_id,
        identities.customer_key,
        identities.contact_point_key,
        agents.agent_key,
    from messages
    left join cases on messages.conversation_id = cases.conversation_id
    left join {{ ref('int_threads') }} as threads
        on messages.source_name = threads.source_name and messages.message_id = threads.message_id
    left join {{ ref('int_identities') }} as identities on messages.identity_key = identities.identity_key
    left join {{ ref('int_agent_aliases') }} as agents on lower(messages.agent) = agents.alias
),

final as (
    select
        {{ row_key('communication', ['entity', 'source_name', 'message_id']) }} as communication_key,
        {{ row_key('conversation', ['conversation_source', 'effective_conversation_id']) }} as conversation_key,
        customer_key,
        contact_point_key,
        agent_key,
        source_name,
        message_id,
        conversation_source,
        effective_conversation_id as conversation_id,
        channel,
        direction,
        is_auto_reply,
        status,
        category,
        language,
        subject,
        body,
        {{ mask_text('subject') }} as subject_masked,
        {{ mask_text('body') }} as text_masked,
        survey_kind,
        survey_score,
        survey_remark,
        duration_seconds,
        sent_at,
        attributes,
    from placed
)

select * from final
