with

-- An order's key is found by its number where only one source has it.
final as (
    select order_id, min(order_key) as order_key,
    from {{ ref('int_orders') }}
    where order_id in (select order_id from {{ ref('int_conversations') }})
    group by order_id
    having count(*) = 1
)

select * from final
