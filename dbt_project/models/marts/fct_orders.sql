{{ config(materialized='view') }}

with

final as (
    select
        order_key,
        customer_key,
        source_name,
        ordered_at,
        amount,
        currency,
        status,
        store,
        n_lines::integer as n_lines,
        is_cancelled,
    from {{ ref('int_orders') }}
)

select * from final
