{{ set_aside('stg_communications__typed', 'communication_id') }}
