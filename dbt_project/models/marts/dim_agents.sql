with

final as (
    select
        agent_key,
        min(agent_name) as agent_name,
        min(team) as team,
        min(manager) as manager,
    from {{ ref('int_agent_aliases') }}
    group by agent_key
)

select * from final
