{{ config(materialized='view') }}

with

final as (
    select
        health_id,
        as_of,
        model_name,
        model_version,
        measure,
        part,
        part_value,
        value,
        lower_value,
        upper_value,
        reference,
        n,
        window_start,
        state,
    from {{ source('ml', 'model_health') }}
)

select * from final
