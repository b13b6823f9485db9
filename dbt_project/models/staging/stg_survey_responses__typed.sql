{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ forget_old_batches() }}') }}

with

{{ new_rows('survey_responses') }},

typed as (
    select
        {{ as_text('survey_id') }} as survey_id,
        {{ as_text('conversation_id') }} as conversation_id,
        {{ as_text('order_id') }} as order_id,
        {{ as_text('customer_id') }} as customer_id,
        {{ as_email('email') }} as email,
        {{ as_text('phone') }} as phone,
        {{ as_handle('handle') }} as handle,
        {{ as_text('customer_name') }} as customer_name,
        {{ as_survey_kind('survey_kind') }} as survey_kind,
        {{ as_number('survey_score', 'decimal(9, 3)') }} as survey_score,
        {{ as_text('survey_remark') }} as survey_remark,
        {{ as_time('responded_at') }} as responded_at,
        {{ as_time('updated_at') }} as updated_at,
        coalesce({{ as_flag('is_deleted') }}, false) as is_deleted,
        {{ lineage() }}
        concat_ws(
            '; ',
            {{ unread_number('survey_score', 'decimal(9, 3)') }},
            {{ unread_time('responded_at') }},
            {{ unread_time('updated_at') }}
        ) as unread,
    from source
),

final as (
    select
        typed.* exclude (unread),
        nullif(concat_ws(
            '; ',
            {{ missing('survey_id') }},
            nullif(unread, ''),
            {{ score_out_of_range('survey_kind', 'survey_score') }},
            case
                when not is_deleted and survey_score is null and survey_remark is null then 'survey_score is missing'
            end
        ), '') as reason,
    from typed
)

select * from final
