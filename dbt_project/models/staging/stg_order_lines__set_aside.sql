{{ set_aside('stg_order_lines__typed', 'order_line_id') }}
