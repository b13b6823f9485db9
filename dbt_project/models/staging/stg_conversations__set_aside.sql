{{ set_aside('stg_conversations__typed', 'conversation_id') }}
