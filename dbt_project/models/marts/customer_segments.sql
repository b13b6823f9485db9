with

final as (
    select
        scores.customer_key,
        scores.segment_id,
        scores.segment_name,
        scores.distance,
        scores.model_version,
        scores.model_digest,
    from {{ source('ml', 'segment_scores') }} as scores
    semi join {{ ref('int_customers') }} using (customer_key)
)

select * from final
