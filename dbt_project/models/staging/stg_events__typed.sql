{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ forget_old_batches() }}') }}

with

{{ new_rows('events') }},

typed as (
    select
        {{ as_text('event_id') }} as event_id,
        {{ as_text('conversation_id') }} as conversation_id,
        {{ as_text('customer_id') }} as customer_id,
        {{ as_email('email') }} as email,
        {{ as_text('phone') }} as phone,
        {{ as_handle('handle') }} as handle,
        {{ as_text('customer_name') }} as customer_name,
        {{ as_text('event_name') }} as event_name,
        {{ as_time('occurred_at') }} as occurred_at,
        {{ as_time('updated_at') }} as updated_at,
        coalesce({{ as_flag('is_deleted') }}, false) as is_deleted,
        {{ lineage() }}
        concat_ws(
            '; ',
            {{ unread_time('occurred_at') }},
            {{ unread_time('updated_at') }}
        ) as unread,
    from source
),

final as (
    select
        typed.* exclude (unread),
        nullif(concat_ws(
            '; ',
            {{ missing('event_id') }},
            nullif(unread, ''),
            case when not is_deleted and event_name is null then 'event_name is missing' end
        ), '') as reason,
    from typed
)

select * from final
