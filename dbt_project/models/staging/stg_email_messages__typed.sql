{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ forget_old_batches() }}') }}

with

{{ new_rows('email_messages') }},

typed as (
    select
        nullif(trim(message_id, '<> '), '') as message_id,
        nullif(trim(in_reply_to, '<> '), '') as in_reply_to,
        {{ as_text('references_ids') }} as references_ids,
        {{ as_email('from_address') }} as from_address,
        {{ as_text('from_name') }} as from_name,
        {{ as_text('to_addresses') }} as to_addresses,
        {{ as_language('language', 'coalesce(body_text, subject)') }} as language,
        {{ as_text('subject') }} as subject,
        {{ as_text('body_text') }} as body_text,
        attachments,
        {{ as_text('quoted_text') }} as quoted_text,
        {{ as_text('signature_text') }} as signature_text,
        lower({{ as_text('mail_kind') }}) as mail_kind,
        lower({{ as_text('list_id') }}) as list_id,
        coalesce({{ as_flag('is_auto_reply') }}, false) as is_auto_reply,
        {{ as_time('sent_at') }} as sent_at,
        null::timestamptz as updated_at,
        false as is_deleted,
        {{ lineage() }}
        concat_ws(
            '; ',
            {{ unread_time('sent_at') }}
        ) as unread,
    from source
),

final as (
    select
        typed.* exclude (unread),
        nullif(concat_ws(
            '; ',
            {{ missing('message_id') }},
            nullif(unread, ''),
            case
                when coalesce(sent_at::varchar, body_text, subject, attachments::varchar) is null
                    then 'the row has no content'
            end
        ), '') as reason,
    from typed
)

select * from final
