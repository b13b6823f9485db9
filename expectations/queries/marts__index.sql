-- One row: whether the satisfaction index keeps its definition for every customer.
with final as (
    select
        'all customers' as customers,
        count(*) as n_customers,
        count(*) - count(distinct customer_key) as n_repeated_keys,
        count(distinct as_of) as n_moments,
        count(*) filter (where not csf between 0 and 1) as n_wrong_csf,
        count(*) filter (where cv <= 0 or cv > 1) as n_wrong_cv,
        count(*) filter (where not tp between 0 and 1) as n_wrong_tp,
        count(*) filter (where abs(cs - csf / cv * tp) > 0.001) as n_wrong_products,
        count(*) filter (where (cs is null) != (csf is null or cv is null or tp is null))
            as n_wrong_nulls,
        count(*) filter (where (cs is null) != (missing_part is not null)) as n_unexplained,
        count(*) filter (where not cs_in_value_band between 0 and 1) as n_wrong_percentiles,
        count(*) filter (where n_surveyed > n_conversations or n_obligations_met > n_obligations_due)
            as n_wrong_counts,
        case
            when count(*) >= 100
                then count(*) filter (where cs is null and n_conversations > 0)
                / nullif(count(*) filter (where n_conversations > 0), 0)
        end as without_index_share,
    from marts.customer_satisfaction_index
)

select * from final
