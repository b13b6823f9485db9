{{ set_aside('stg_events__typed', 'event_id') }}
