-- One row per model version that scored; no row at all before the first model is promoted.
with conversations as (
    select count(*) as n_conversations from marts.fct_conversations
),

final as (
    select
        predictions.model_name,
        predictions.model_version,
        count(*) as n_predictions,
        count(*) - count(distinct predictions.conversation_key) as n_repeated_keys,
        count(*) filter (
            where not predictions.p_satisfied between 0 and 1 or predictions.p_satisfied is null
        ) as n_wrong_chances,
        count(*) over () as n_versions,
        (sum(count(*)) over () / max(conversations.n_conversations))::double as covered_share,
        count(distinct predictions.p_satisfied) as n_distinct_chances,
        case
            when count(facts.satisfaction) >= 100
                then abs(
                    sum(predictions.p_satisfied) filter (where facts.satisfaction is not null)
                    - count(*) filter (where facts.satisfaction >= 0.75)
                ) / count(facts.satisfaction)
        end::double as calibration_gap,
    from marts.satisfaction_predictions as predictions
    cross join conversations
    left join marts.fct_conversations as facts
        on predictions.conversation_key = facts.conversation_key
    group by predictions.model_name, predictions.model_version
    order by predictions.model_name, predictions.model_version
)

select * from final
