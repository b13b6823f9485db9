{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ forget_old_batches() }}') }}

with

{{ new_rows('customers') }},

typed as (
    select
        {{ as_text('customer_id') }} as customer_id,
        {{ as_email('email') }} as email,
        {{ as_text('phone') }} as phone,
        {{ as_handle('handle') }} as handle,
        {{ as_text('customer_name') }} as customer_name,
        {{ as_gender('gender') }} as gender,
        {{ as_text('city') }} as city,
        {{ as_text('country') }} as country,
        {{ as_language('language', 'null::varchar') }} as language,
        {{ as_channel('preferred_channel') }} as preferred_channel,
        {{ as_text('agent') }} as agent,
        {{ as_text('merged_into') }} as merged_into,
        {{ as_number('age', 'integer') }} as age,
        {{ as_flag('do_not_contact') }} as do_not_contact,
        {{ as_time('created_at') }} as created_at,
        {{ as_time('updated_at') }} as updated_at,
        coalesce({{ as_flag('is_deleted') }}, false) as is_deleted,
        {{ lineage() }}
        concat_ws(
            '; ',
            {{ unread_number('age', 'integer') }},
            {{ unread_time('created_at') }},
            {{ unread_time('updated_at') }}
        ) as unread,
    from source
),

final as (
    select
        typed.* exclude (unread),
        nullif(concat_ws(
            '; ',
            {{ missing('customer_id') }},
            nullif(unread, ''),
            case when age not between 0 and 120 then 'age ' || age::varchar || ' is outside 0..120' end
        ), '') as reason,
    from typed
)

select * from final
