{{ config(materialized='view') }}

with

final as (
    select
        source_name,
        counted_at,
        batch_id,
        scope,
        n_theirs,
        n_ours,
        n_theirs - n_ours as n_difference,
        n_quarantined,
        n_held,
        n_expired,
        n_deleted,
        n_unexplained,
        explanation,
    from {{ source('ops', 'source_reconciliation') }}
)

select * from final
