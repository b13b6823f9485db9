{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ forget_old_batches() }}') }}

with

{{ new_rows('agents') }},

typed as (
    select
        {{ as_text('agent_id') }} as agent_id,
        {{ as_text('agent_name') }} as agent_name,
        {{ as_email('email') }} as email,
        {{ as_text('phone') }} as phone,
        {{ as_text('team') }} as team,
        {{ as_text('manager') }} as manager,
        {{ as_time('updated_at') }} as updated_at,
        coalesce({{ as_flag('is_deleted') }}, false) as is_deleted,
        {{ lineage() }}
        concat_ws(
            '; ',
            {{ unread_time('updated_at') }}
        ) as unread,
    from source
),

final as (
    select
        typed.* exclude (unread),
        nullif(concat_ws(
            '; ',
            {{ missing('agent_id') }},
            nullif(unread, '')
        ), '') as reason,
    from typed
)

select * from final
