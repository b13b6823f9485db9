{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ forget_old_batches() }}') }}

with

{{ new_rows('follow_ups') }},

typed as (
    select
        {{ as_text('follow_up_id') }} as follow_up_id,
        {{ as_text('customer_id') }} as customer_id,
        {{ as_email('email') }} as email,
        {{ as_text('phone') }} as phone,
        {{ as_handle('handle') }} as handle,
        {{ as_text('customer_name') }} as customer_name,
        {{ as_text('agent') }} as agent,
        {{ as_channel('channel') }} as channel,
        lower({{ as_text('status') }}) as status,
        {{ as_text('outcome') }} as outcome,
        {{ as_time('approved_at') }} as approved_at,
        {{ as_time('due_at') }} as due_at,
        {{ as_time('completed_at') }} as completed_at,
        {{ as_time('updated_at') }} as updated_at,
        coalesce({{ as_flag('is_deleted') }}, false) as is_deleted,
        {{ lineage() }}
        concat_ws(
            '; ',
            {{ unread_time('approved_at') }},
            {{ unread_time('due_at') }},
            {{ unread_time('completed_at') }},
            {{ unread_time('updated_at') }}
        ) as unread,
    from source
),

final as (
    select
        typed.* exclude (unread),
        nullif(concat_ws(
            '; ',
            {{ missing('follow_up_id') }},
            nullif(unread, ''),
            {{ unknown_channel('channel') }},
            {{ before('completed_at', 'approved_at') }}
        ), '') as reason,
    from typed
)

select * from final
