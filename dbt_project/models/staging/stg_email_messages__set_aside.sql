{{ set_aside('stg_email_messages__typed', 'message_id') }}
