{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ forget_old_batches() }}') }}

with

{{ new_rows('order_lines') }},

typed as (
    select
        {{ as_text('order_line_id') }} as order_line_id,
        {{ as_text('order_id') }} as order_id,
        {{ as_text('product_id') }} as product_id,
        {{ as_text('customer_id') }} as customer_id,
        {{ as_email('email') }} as email,
        {{ as_text('phone') }} as phone,
        {{ as_handle('handle') }} as handle,
        {{ as_text('customer_name') }} as customer_name,
        {{ as_text('product_name') }} as product_name,
        {{ as_text('category') }} as category,
        {{ as_text('country') }} as country,
        lower({{ as_text('status') }}) as status,
        {{ as_number('quantity', 'decimal(18, 3)') }} as quantity,
        {{ as_number('unit_price', 'decimal(18, 4)') }} as unit_price,
        {{ as_time('ordered_at') }} as ordered_at,
        {{ as_time('updated_at') }} as updated_at,
        coalesce({{ as_flag('is_deleted') }}, false) as is_deleted,
        {{ lineage() }}
        concat_ws(
            '; ',
            {{ unread_number('quantity', 'decimal(18, 3)') }},
            {{ unread_number('unit_price', 'decimal(18, 4)') }},
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
            {{ missing('order_line_id') }},
            nullif(unread, ''),
            {{ beyond('quantity', 1000000000) }},
            {{ beyond('unit_price', 1000000000) }},
            case
                when abs(quantity::double * unit_price::double) > 1e10
                    then 'quantity times unit_price is beyond 10000000000'
            end,
            {{ missing('order_id') }}
        ), '') as reason,
    from typed
)

select * from final
