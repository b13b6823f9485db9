{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ forget_old_batches() }}') }}

with

{{ new_rows('communications') }},

typed as (
    select
        {{ as_text('communication_id') }} as communication_id,
        {{ as_text('conversation_id') }} as conversation_id,
        {{ as_text('in_reply_to') }} as in_reply_to,
        {{ as_text('customer_id') }} as customer_id,
        {{ as_email('email') }} as email,
        {{ as_text('phone') }} as phone,
        {{ as_handle('handle') }} as handle,
        {{ as_text('customer_name') }} as customer_name,
        {{ as_text('from_address') }} as from_address,
        {{ as_text('to_address') }} as to_address,
        {{ as_text('agent') }} as agent,
        {{ as_channel('channel') }} as channel,
        {{ as_direction('direction') }} as direction,
        lower({{ as_text('status') }}) as status,
        {{ as_text('category') }} as category,
        {{ as_language('language', 'coalesce(body, subject)') }} as language,
        {{ as_text('subject') }} as subject,
        {{ as_text('body') }} as body,
        {{ as_sentiment('sentiment') }} as sentiment,
        {{ as_survey_kind('survey_kind') }} as survey_kind,
        {{ as_number('survey_score', 'decimal(9, 3)') }} as survey_score,
        {{ as_text('survey_remark') }} as survey_remark,
        {{ as_number('duration_seconds', 'decimal(18, 3)') }} as duration_seconds,
        {{ as_time('sent_at') }} as sent_at,
        {{ as_time('updated_at') }} as updated_at,
        coalesce({{ as_flag('is_automatic') }}, false) as is_automatic,
        coalesce({{ as_flag('is_deleted') }}, false) as is_deleted,
        {{ lineage() }}
        concat_ws(
            '; ',
            {{ unread_number('survey_score', 'decimal(9, 3)') }},
            {{ unread_number('duration_seconds', 'decimal(18, 3)') }},
            {{ unread_time('sent_at') }},
            {{ unread_time('updated_at') }}
        ) as unread,
    from source
),

final as (
    select
        typed.* exclude (unread),
        nullif(concat_ws(
            '; ',
            {{ missing('communication_id') }},
            nullif(unread, ''),
            {{ beyond('duration_seconds', 1000000000) }},
            {{ unknown_channel('channel') }},
            case
                when direction not in ('inbound', 'outbound')
                    then 'direction ''' || direction || ''' is not one of inbound, outbound'
            end,
            {{ unknown_sentiment('sentiment') }},
            {{ score_out_of_range('survey_kind', 'survey_score') }},
            {{ negative('duration_seconds') }},
            case
                when
                    -- of what is gone, its id is enough
                    not is_deleted and coalesce(body, subject) is null and sent_at is null
                    and survey_score is null and duration_seconds is null
                    then 'the row has no content'
            end
        ), '') as reason,
    from typed
)

select * from final
