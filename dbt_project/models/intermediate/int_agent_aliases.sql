with

agents as (
    select
        {{ row_key('agent', ["lower(agent_id)"]) }} as agent_key,
        agent_id, agent_name, email, phone, team, manager,
    from {{ ref('stg_agents') }}
    qualify row_number() over (partition by lower(agent_id) order by updated_at desc nulls last, source_name) = 1
),

known as (
    select 1 as strength, lower(agent_id) as alias, * from agents
    union all
    select 2 as strength, email as alias, * from agents where email is not null
    union all
    select 3 as strength, lower(phone) as alias, * from agents where phone is not null
    union all
    select 4 as strength, lower(agent_name) as alias, * from agents where agent_name is not null
),

-- A name or number that two agents share says nothing.
unambiguous as (
    select *,
    from known
    qualify
        strength = min(strength) over (partition by alias)
        and count(*) over (partition by alias, strength) = 1
),

mentions as (
    select distinct agent from {{ ref('int_messages') }}
    union all
    select agent from {{ ref('stg_conversations') }}
    union all
    select agent from {{ ref('stg_customers') }}
    union all
    select agent from {{ ref('stg_follow_ups') }}
    union all
    select agent from {{ ref('stg_call_legs') }}
),

strangers as (
    select lower(agent) as alias, min(agent) as agent_name,
    from mentions
    where agent is not null
    group by lower(agent)
),

final as (
    select alias, agent_key, agent_name, team, manager, email, phone, strength,
    from unambiguous
    union all
    select
        strangers.alias,
        {{ row_key('agent', ["strangers.alias"]) }} as agent_key,
        strangers.agent_name,
        null as team,
        null as manager,
        null as email,
        null as phone,
        5 as strength,
    from strangers
    anti join unambiguous using (alias)
)

select * from final
