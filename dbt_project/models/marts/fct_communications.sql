{{ config(materialized='view') }}

with

final as (
    select
        communications.communication_key,
        communications.conversation_key,
        communications.customer_key,
        communications.contact_point_key,
        communications.agent_key,
        communications.source_name,
        communications.channel,
        communications.direction,
        communications.is_auto_reply,
        communications.sent_at,
        communications.language,
        communications.category,
        communications.subject_masked,
        communications.text_masked,
        communications.duration_seconds,
        communications.attributes,
        communications.sentiment as told_sentiment,
        scores.sentiment,
        scores.p_negative as sentiment_negative,
        scores.p_neutral as sentiment_neutral,
        scores.p_positive as sentiment_positive,
        scores.words as sentiment_words,
        scores.model_version as sentiment_model_version,
        scores.model_digest as sentiment_model_digest,
    from {{ ref('int_communications') }} as communications
    left join {{ source('ml', 'sentiment_scores') }} as scores using (text_hash)
)

select * from final
