-- One row per source and kind of survey.
with final as (
    select
        coalesce(source_name, 'unknown') as source_name,
        coalesce(kind, 'unknown') as kind,
        count(*) as n_responses,
        count(*) - count(distinct survey_response_key) as n_repeated_keys,
        count(*) filter (where not satisfaction between 0 and 1) as n_wrong_satisfaction,
        count(*) filter (
            where (kind = 'csat' and abs(satisfaction - (score - 1) / 4) > 0.001)
            or (kind = 'nps' and abs(satisfaction - score / 10) > 0.001)
        ) as n_wrongly_scaled,
        -- nps asks about the company, not about a conversation
        count(*) filter (where conversation_key is null and kind is distinct from 'nps') / count(*)
            as unattached_share,
        case when count(*) >= 30 then count(distinct score) end as n_distinct_scores,
    from marts.fct_survey_responses
    group by 1, 2
    order by 1, 2
)

select * from final
