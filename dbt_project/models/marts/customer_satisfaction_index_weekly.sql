{{ config(materialized='view') }}

with

final as (
    select
        week,
        customer_key,
        cs,
        csf,
        cv,
        tp,
        cs_in_value_band,
        value_band,
        n_conversations,
        n_surveyed,
        n_obligations_due,
        n_obligations_met,
    from {{ ref('part_index_weeks') }}
)

select * from final
