with

final as (
    select
        scores.conversation_key,
        features.customer_key,
        features.label_at as commented_at,
        scores.p_satisfied,
        scores.reasons,
        scores.model_name,
        scores.model_version,
        scores.model_digest,
    from {{ source('ml', 'comment_scores') }} as scores
    inner join {{ ref('features_conversations') }} as features using (conversation_key)
)

select * from final
