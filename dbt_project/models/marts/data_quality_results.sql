{{ config(materialized='view') }}

with

final as (
    select
        run_id,
        checked_at,
        layer,
        suite,
        expectation,
        column_name,
        severity,
        success,
        observed,
        unexpected_count,
        element_count,
        batch_id,
        details,
    from {{ source('ops', 'check_results') }}
)

select * from final
