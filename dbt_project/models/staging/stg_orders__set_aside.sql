{{ set_aside('stg_orders__typed', 'order_id') }}
