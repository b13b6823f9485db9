with

final as (
    select
        conversation_key,
        {{ share('sum(satisfaction)', 'count(satisfaction)') }} as satisfaction,
        max(responded_at) as responded_at,
    from {{ ref('int_survey_responses') }}
    where conversation_key is not null and satisfaction is not null
    group by conversation_key
)

select * from final
