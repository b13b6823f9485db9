{{ set_aside('stg_transcripts__typed', 'transcript_id') }}
