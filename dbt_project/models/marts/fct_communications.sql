{{ config(materialized='view') }}

with

final as (
    select
        communication_key,
        conversation_key,
        customer_key,
        contact_point_key,
        agent_key,
        source_name,
        channel,
        direction,
        is_auto_reply,
        sent_at,
        language,
        category,
        subject_masked,
        text_masked,
        duration_seconds,
        attributes,
    from {{ ref('int_communications') }}
)

select * from final
