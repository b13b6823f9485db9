{{ set_aside('stg_call_legs__typed', 'leg_id') }}
