with

settings as (
    select value_floor, cv_basis from {{ ref('int_as_of') }}
),

ends as (
    select as_of, as_of - to_days(index_window_days) as window_start, from {{ ref('int_as_of') }}
),

{{ index_parts() }},

final as (
    select
        customer_key,
        as_of,
        cs,
        csf,
        cv,
        tp,
        {{ place_in_value_band() }} as cs_in_value_band,
        value_band,
        n_conversations,
        n_surveyed,
        n_obligations_due,
        n_obligations_met,
        cv_basis,
        missing_part,
    from parts
)

select * from final
