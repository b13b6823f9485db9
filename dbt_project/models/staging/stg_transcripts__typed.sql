{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ forget_old_batches() }}') }}

with

{{ new_rows('transcripts') }},

typed as (
    select
        {{ as_text('transcript_id') }} as transcript_id,
        {{ as_text('call_id') }} as call_id,
        {{ as_text('customer_text') }} as customer_text,
        {{ as_text('agent_text') }} as agent_text,
        {{ as_text('text') }} as text,
        {{ as_text('turns') }} as turns,
        {{ as_language('language', 'coalesce(customer_text, text)') }} as language,
        {{ as_time('recorded_at') }} as recorded_at,
        {{ as_time('updated_at') }} as updated_at,
        coalesce({{ as_flag('is_deleted') }}, false) as is_deleted,
        {{ lineage() }}
        concat_ws(
            '; ',
            {{ unread_time('recorded_at') }},
            {{ unread_time('updated_at') }}
        ) as unread,
    from source
),

final as (
    select
        typed.* exclude (unread),
        nullif(concat_ws(
            '; ',
            {{ missing('transcript_id') }},
            {{ missing('call_id') }},
            nullif(unread, ''),
            case when coalesce(text, customer_text, agent_text) is null then 'nothing is said in it' end
        ), '') as reason,
    from typed
)

select * from final
