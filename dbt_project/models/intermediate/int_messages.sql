{{ config(materialized='view') }}

with

sources as (
    select
        source_name,
        channel,
        system,
        -- the sources of one block speak of the same conversations, though no case of them may be here
        case
            when system <> source_name
                then min(source_name) filter (where entity = 'communications') over (partition by system)
        end as conversation_home,
    from {{ source('ops', 'sources') }}
),

-- What a system deleted as a case is gone with its messages, though it may not tell of each of them.
deleted_cases as (
    select sources.system, cases.conversation_id,
    from {{ ref('stg_conversations__typed') }} as cases
    inner join {{ ref('stg_conversations__set_aside') }} as set_aside using (batch_seq, file_name, row_number)
    inner join sources on cases.source_name = sources.source_name
    where set_aside.disposition = 'deleted' and sources.system <> sources.source_name
    group by all
),

own as (
    select * from {{ ref('int_own_identities') }}
),

written as (
    select
        communications.*,
        coalesce(communications.channel, sources.channel) as effective_channel,
        sources.conversation_home,
        {{ as_email('from_address') }} as from_email,
        {{ as_email('to_address') }} as to_email,
    from {{ ref('stg_communications') }} as communications
    left join sources using (source_name)
    anti join deleted_cases
        on sources.system = deleted_cases.system and communications.conversation_id = deleted_cases.conversation_id
),

directed as (
    select
        written.*,
        coalesce(
            written.direction,
            case
                when
                    list_contains(own.domains, split_part(written.from_email, '@', 2))
                    or list_contains(own.emails, written.from_email)
                    or list_contains(own.handles, ltrim(lower(written.from_address), '@'))
                    or (
                        written.from_email is null
                        and list_contains(own.phones, nullif(regexp_replace(written.from_address, '\D', '', 'g'), ''))
                    )
                    then 'outbound'
                else 'inbound'
            end
        ) as effective_direction,
    from written
    cross join own
),

addressed as (
    select
        directed.*,
        case when effective_direction = 'inbound' then from_email else to_email end as other_email,
        case when effective_direction = 'inbound' then from_address else to_address end as other_address,
        -- who wrote for us is the agent, where the source names the writer only
        coalesce(
            agent,
            case
                when effective_direction = 'outbound' and list_contains(own.agents, lower(from_address))
                    then from_address
            end
        ) as effective_agent,
    from directed
    cross join own
),

communications as (
    select
        'communications' as entity,
        source_name,
        communication_id as message_id,
        conversation_id,
        conversation_home,
        in_reply_to,
        null::varchar[] as message_references,
        customer_id,
        coalesce(email, other_email) as email,
        coalesce(phone, case when effective_channel = 'phone' and other_email is null then other_address end) as phone,
        coalesce(
            handle,
            case
                when effective_channel in ('chat', 'social') and other_email is null
                    then {{ as_handle('other_address') }}
            end
        ) as handle,
        customer_name,
        effective_agent as agent,
        effective_channel as channel,
        effective_direction as direction,
        coalesce(is_automatic, false) as is_auto_reply,
        status,
        category,
        language,
        subject,
        body,
        sentiment,
        survey_kind,
        survey_score,
        survey_remark,
        duration_seconds,
        sent_at,
        extracted_at,
        attributes,
        row_hash,
    from addressed
),

mails as (
    select
        mails.*,
        list_transform(string_split(lower(coalesce(mails.to_addresses, '')), ','), lambda a: trim(a)) as receivers,
        coalesce(
            list_contains(own.domains, split_part(mails.from_address, '@', 2))
            or list_contains(own.emails, mails.from_address),
            false
        ) as is_ours,
        coalesce(
            list_bool_or(
                list_transform(own.domains, lambda d: mails.list_id = d or ends_with(mails.list_id, '.' || d))
            ),
            false
        ) as is_our_list,
        own.domains,
        own.emails,
    from {{ ref('stg_email_messages') }} as mails
    cross join own
),

email_messages as (
    select
        'email_messages' as entity,
        source_name,
        message_id,
        null::varchar as conversation_id,
        null::varchar as conversation_home,
        in_reply_to,
        list_filter(
            list_transform(string_split(trim(references_ids), ' '), lambda r: trim(r, '<> ')), lambda r: r <> ''
        ) as message_references,
        null::varchar as customer_id,
        case
            when not is_ours then from_address
            else list_filter(
                receivers,
                lambda a: contains(a, '@')
                and not list_contains(domains, split_part(a, '@', 2)) and not list_contains(emails, a)
            )[1]
        end as email,
        null::varchar as phone,
        null::varchar as handle,
        case when not is_ours then from_name end as customer_name,
        case when is_ours then from_address end as agent,
        'email' as channel,
        case when is_ours then 'outbound' else 'inbound' end as direction,
        -- our own list (a shared mailbox that is a group, say) marks all that customers write to it as bulk
        is_auto_reply and not (mail_kind is not distinct from 'bulk' and is_our_list) as is_auto_reply,
        null::varchar as status,
        null::varchar as category,
        language,
        subject,
        body_text as body,
        null::varchar as sentiment,
        null::varchar as survey_kind,
        null::decimal(9, 3) as survey_score,
        null::varchar as survey_remark,
        null::decimal(18, 3) as duration_seconds,
        sent_at,
        extracted_at,
        attributes,
        row_hash,
    from mails
),

calls as (
    select
        'call_legs' as entity,
        source_name,
        call_id as message_id,
        conversation_id,
        null::varchar as conversation_home,
        null::varchar as in_reply_to,
        null::varchar[] as message_references,
        customer_id,
        email,
        phone,
        handle,
        customer_name,
        agent,
        'phone' as channel,
        direction,
        false as is_auto_reply,
        status,
        null::varchar as category,
        null::varchar as language,
        null::varchar as subject,
        null::varchar as body,
        null::varchar as sentiment,
        null::varchar as survey_kind,
        null::decimal(9, 3) as survey_score,
        null::varchar as survey_remark,
        handle_seconds as duration_seconds,
        started_at as sent_at,
        extracted_at,
        attributes,
        row_hash,
    from {{ ref('int_calls') }}
),

written_or_spoken as (
    select * from communications
    union all
    select * from email_messages
    union all
    select * from calls
),

-- What was said on the phone, where a transcript tells it.
united as (
    select
        messages.* replace (
            coalesce(messages.body, transcripts.body) as body,
            case
                when messages.body is null then coalesce(transcripts.language, messages.language)
                else messages.language
            end as language,
            case
                when transcripts.row_hash is not null then hash(messages.row_hash, transcripts.row_hash)
                else messages.row_hash
            end as row_hash
        ),
    from written_or_spoken as messages
    left join {{ ref('int_transcripts') }} as transcripts
        on messages.channel = 'phone' and messages.message_id = transcripts.call_id
),

final as (
    select *, {{ identity_key() }} as identity_key,
    from united
)

select * from final
