{{ config(materialized='view') }}

with

sources as (
    select source_name, channel from {{ source('ops', 'sources') }}
),

own as (
    select * from {{ ref('int_own_identities') }}
),

written as (
    select
        communications.*,
        coalesce(communications.channel, sources.channel) as effective_channel,
        {{ as_email('from_address') }} as from_email,
        {{ as_email('to_address') }} as to_email,
    from {{ ref('stg_communications') }} as communications
    left join sources using (source_name)
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
    from directed
),

communications as (
    select
        'communications' as entity,
        source_name,
        communication_id as message_id,
        conversation_id,
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
        agent,
        effective_channel as channel,
        effective_direction as direction,
        false as is_auto_reply,
        status,
        category,
        language,
        subject,
        body,
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

united as (
    select * from communications
    union all
    select * from email_messages
),

final as (
    select *, {{ identity_key() }} as identity_key,
    from united
)

select * from final
