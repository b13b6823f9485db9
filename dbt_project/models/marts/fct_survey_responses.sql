{{ config(materialized='view') }}

with

final as (
    select
        survey_response_key,
        conversation_key,
        customer_key,
        kind,
        score,
        satisfaction,
        {{ mask_text('comment') }} as comment_masked,
        responded_at,
        attached_by,
        source_name,
    from {{ ref('int_survey_responses') }}
)

select * from final
