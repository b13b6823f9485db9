{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ forget_old_batches() }}') }}

with

{{ new_rows('call_legs') }},

typed as (
    select
        {{ as_text('leg_id') }} as leg_id,
        coalesce({{ as_text('call_id') }}, {{ as_text('leg_id') }}) as call_id,
        {{ as_text('linked_leg_id') }} as linked_leg_id,
        {{ as_text('conversation_id') }} as conversation_id,
        {{ as_text('customer_id') }} as customer_id,
        {{ as_email('email') }} as email,
        {{ as_text('phone') }} as phone,
        {{ as_handle('handle') }} as handle,
        {{ as_text('customer_name') }} as customer_name,
        {{ as_text('from_address') }} as from_address,
        {{ as_text('to_address') }} as to_address,
        {{ as_text('agent') }} as agent,
        {{ as_text('queue') }} as queue,
        {{ as_direction('direction') }} as direction,
        lower({{ as_text('status') }}) as status,
        {{ as_number('talk_seconds', 'decimal(18, 3)') }} as talk_seconds,
        {{ as_number('hold_seconds', 'decimal(18, 3)') }} as hold_seconds,
        {{ as_time('started_at') }} as started_at,
        {{ as_time('answered_at') }} as answered_at,
        {{ as_time('ended_at') }} as ended_at,
        {{ as_time('updated_at') }} as updated_at,
        coalesce({{ as_flag('is_deleted') }}, false) as is_deleted,
        {{ lineage() }}
        concat_ws(
            '; ',
            {{ unread_number('talk_seconds', 'decimal(18, 3)') }},
            {{ unread_number('hold_seconds', 'decimal(18, 3)') }},
            {{ unread_time('started_at') }},
            {{ unread_time('answered_at') }},
            {{ unread_time('ended_at') }},
            {{ unread_time('updated_at') }}
        ) as unread,
    from source
),

final as (
    select
        typed.* exclude (unread),
        nullif(concat_ws(
            '; ',
            {{ missing('leg_id') }},
            nullif(unread, ''),
            case when started_at is null and not contains(unread, 'started_at') then 'started_at is missing' end,
            {{ before('answered_at', 'started_at') }},
            {{ before('ended_at', 'started_at') }},
            {{ beyond('talk_seconds', 1000000000) }},
            {{ beyond('hold_seconds', 1000000000) }},
            {{ negative('talk_seconds') }},
            {{ negative('hold_seconds') }},
            case
                when direction not in ('inbound', 'outbound', 'internal')
                    then 'direction ''' || direction || ''' is not one of inbound, outbound, internal'
            end
        ), '') as reason,
    from typed
)

select * from final
