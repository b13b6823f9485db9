{{ set_aside('stg_follow_ups__typed', 'follow_up_id') }}
