{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ forget_old_batches() }}') }}

with

{{ new_rows('conversations') }},

typed as (
    select
        {{ as_text('conversation_id') }} as conversation_id,
        {{ as_text('order_id') }} as order_id,
        {{ as_text('customer_id') }} as customer_id,
        {{ as_email('email') }} as email,
        {{ as_text('phone') }} as phone,
        {{ as_handle('handle') }} as handle,
        {{ as_text('customer_name') }} as customer_name,
        {{ as_text('agent') }} as agent,
        {{ as_channel('channel') }} as channel,
        lower({{ as_text('status') }}) as status,
        {{ as_text('category') }} as category,
        {{ as_text('subject') }} as subject,
        {{ as_survey_kind('survey_kind') }} as survey_kind,
        {{ as_number('survey_score', 'decimal(9, 3)') }} as survey_score,
        {{ as_text('survey_remark') }} as survey_remark,
        {{ as_number('handle_seconds', 'decimal(18, 3)') }} as handle_seconds,
        {{ as_time('opened_at') }} as opened_at,
        {{ as_time('first_reply_at') }} as first_reply_at,
        {{ as_time('closed_at') }} as closed_at,
        {{ as_time('survey_at') }} as survey_at,
        {{ as_time('updated_at') }} as updated_at,
        coalesce({{ as_flag('is_deleted') }}, false) as is_deleted,
        {{ lineage() }}
        concat_ws(
            '; ',
            {{ unread_number('survey_score', 'decimal(9, 3)') }},
            {{ unread_number('handle_seconds', 'decimal(18, 3)') }},
            {{ unread_time('opened_at') }},
            {{ unread_time('first_reply_at') }},
            {{ unread_time('closed_at') }},
            {{ unread_time('survey_at') }},
            {{ unread_time('updated_at') }}
        ) as unread,
    from source
),

final as (
    select
        typed.* exclude (unread),
        nullif(concat_ws(
            '; ',
            {{ missing('conversation_id') }},
            nullif(unread, ''),
            {{ beyond('handle_seconds', 1000000000) }},
            {{ unknown_channel('channel') }},
            {{ before('first_reply_at', 'opened_at') }},
            {{ before('closed_at', 'opened_at') }},
            {{ score_out_of_range('survey_kind', 'survey_score') }},
            {{ negative('handle_seconds') }},
            case
                when
                    -- of what is gone, its id is enough
                    not is_deleted
                    and coalesce(opened_at, closed_at, first_reply_at)::varchar is null
                    and coalesce(
                        status, category, subject, survey_score::varchar, channel, customer_id, email, phone, handle
                    ) is null
                    then 'the row has no content'
            end
        ), '') as reason,
    from typed
)

select * from final
