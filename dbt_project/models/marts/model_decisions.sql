{{ config(materialized='view') }}

with

final as (
    select
        decision_id,
        decided_at,
        model_name,
        model_version,
        run_id,
        decision,
        reason,
        metric,
        baseline_value,
        champion_value,
        challenger_value,
        n_train,
        n_test,
        split,
        data_digest,
        config_digest,
        code_version,
        decided_by,
        model_digest,
    from {{ source('ml', 'model_decisions') }}
)

select * from final
