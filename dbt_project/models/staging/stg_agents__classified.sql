with

source as (
    select * from {{ source('raw', 'agents') }}
),

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

judged as (
    select
        typed.* exclude (unread),
        nullif(concat_ws(
            '; ',
            {{ missing('agent_id') }},
            nullif(unread, '')
        ), '') as reason,
    from typed
),

{{ classify('agent_id') }}

select * from final
