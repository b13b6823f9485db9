{{ set_aside('stg_survey_responses__typed', 'survey_id') }}
