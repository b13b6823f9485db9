{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='message_hash',
    post_hook='{{ forget_gone() }}'
) }}

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

placed as not materialized (
    select
        messages.*,
        case
            when messages.conversation_id is not null
                then coalesce(cases.case_source, messages.conversation_home, messages.source_name)
            else messages.source_name
        end as conversation_source,
        coalesce(
            messages.conversation_id, threads.conversation_id, 'thread:' || messages.message_id
        ) as effective_conversation_id,
        case when messages.conversation_id is not null then 'conversation_id' else threads.evidence end
            as thread_evidence,
        identities.customer_key,
        identities.contact_point_key,
        identities.customer_hash,
        identities.row_version as identity_version,
        agents.agent_key,
    from messages
    left join cases on messages.conversation_id = cases.conversation_id
    left join {{ ref('int_threads') }} as threads
        on messages.source_name = threads.source_name and messages.message_id = threads.message_id
    left join {{ ref('int_identities') }} as identities on messages.identity_key = identities.identity_key
    left join {{ ref('int_agent_aliases') }} as agents on lower(messages.agent) = agents.alias
),

-- Two numbers a message: which one it is, and all that it and the models above say of it.
numbered as not materialized (
    select
        *,
        hash(entity, source_name, message_id) as message_hash,
        hash(
            row_hash, conversation_source, effective_conversation_id, identity_version, agent_key, channel, direction,
            is_auto_reply, thread_evidence
        ) as row_version,
    from placed
),

versioned as materialized (
    select message_hash, row_version from numbered
),

{{ changed('message_hash') }},

described as (
    select
        {{ row_key("communication", ["numbered.entity", "numbered.source_name", "numbered.message_id"]) }}
            as communication_key,
        {{ row_key('conversation', ['numbered.conversation_source', 'numbered.effective_conversation_id']) }}
            as conversation_key,
        numbered.customer_key,
        numbered.contact_point_key,
        numbered.agent_key,
        numbered.source_name,
        numbered.message_id,
        numbered.conversation_source,
        numbered.effective_conversation_id as conversation_id,
        numbered.thread_evidence,
        numbered.channel,
        numbered.direction,
        numbered.is_auto_reply,
        numbered.status,
        numbered.category,
        numbered.language,
        {{ mask_text('numbered.subject') }} as subject_masked,
        {{ mask_text('numbered.body') }} as text_masked,
        -- most texts hold nothing to mask, and are kept once
        case when numbered.subject <> subject_masked then numbered.subject end as subject_unmasked,
        case when numbered.body <> text_masked then numbered.body end as text_unmasked,
        coalesce({{ case_reference('numbered.subject') }}, {{ case_reference('numbered.body') }}) as case_reference,
        -- which words are scored for how they sound: what a customer wrote, once per text
        case
            when
                numbered.direction = 'inbound' and not numbered.is_auto_reply
                and coalesce(numbered.body, numbered.subject) is not null
                then hash(coalesce(text_masked, subject_masked))
        end as text_hash,
        numbered.sentiment,
        numbered.survey_kind,
        numbered.survey_score,
        numbered.survey_remark,
        numbered.duration_seconds,
        numbered.sent_at,
        numbered.attributes,
        numbered.message_hash,
        hash(numbered.conversation_source, numbered.effective_conversation_id) as conversation_hash,
        numbered.customer_hash,
        numbered.row_version,
    from numbered
    {% if is_incremental() %}semi join changed using (message_hash){% endif %}
),

final as (
    select * from described
    {{ gone('message_hash') }}
)

select * from final
