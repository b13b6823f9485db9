-- The newest look at each champion; what it was before is history.
with newest as (
    from marts.model_health
    qualify as_of = max(as_of) over (partition by model_name)
),

final as (
    select
        model_name,
        count(*) - count(distinct health_id) as n_repeated_keys,
        count(*) filter (where measure = 'roc_auc' and not value between 0 and 1) as n_wrong_values,
        count(*) filter (where state = 'act') as n_aged,
    from newest
    group by model_name
    order by model_name
)

select * from final
