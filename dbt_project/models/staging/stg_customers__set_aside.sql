{{ set_aside('stg_customers__typed', 'customer_id') }}
