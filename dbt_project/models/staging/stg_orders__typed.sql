{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ forget_old_batches() }}') }}

with

{{ new_rows('orders') }},

typed as (
    select
        {{ as_text('order_id') }} as order_id,
        {{ as_text('customer_id') }} as customer_id,
        {{ as_email('email') }} as email,
        {{ as_text('phone') }} as phone,
        {{ as_handle('handle') }} as handle,
        {{ as_text('customer_name') }} as customer_name,
        upper({{ as_text('currency') }}) as currency,
        lower({{ as_text('status') }}) as status,
        {{ as_text('store') }} as store,
        {{ as_number('amount', 'decimal(18, 2)') }} as amount,
        {{ as_time('ordered_at') }} as ordered_at,
        {{ as_time('updated_at') }} as updated_at,
        coalesce({{ as_flag('is_deleted') }}, false) as is_deleted,
        {{ lineage() }}
        concat_ws(
            '; ',
            {{ unread_number('amount', 'decimal(18, 2)') }},
            {{ unread_time('ordered_at') }},
            {{ unread_time('updated_at') }}
        ) as unread,
    from source
),

final as (
    select
        typed.* exclude (unread),
        nullif(concat_ws(
            '; ',
            {{ missing('order_id') }},
            nullif(unread, ''),
            {{ beyond('amount', 100000000000) }}
        ), '') as reason,
    from typed
)

select * from final
