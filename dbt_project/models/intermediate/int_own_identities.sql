with

configured as (
    select kind, lower(trim(value)) as value from {{ source('ops', 'own_identities') }}
),

agents as (
    select agent_id, email, phone from {{ ref('stg_agents') }}
),

identities as (
    select kind, ltrim(value, '@') as value from configured
    where kind in ('domain', 'email', 'handle')
    union
    select 'phone' as kind, regexp_replace(value, '\D', '', 'g') as value from configured
    where kind = 'phone'
    union
    select 'email' as kind, email as value from agents
    union
    select 'phone' as kind, regexp_replace(phone, '\D', '', 'g') as value from agents
    union
    select 'agent' as kind, lower(agent_id) as value from agents
),

final as (
    select
        coalesce(list(value order by value) filter (where kind = 'domain'), []) as domains,
        coalesce(list(value order by value) filter (where kind = 'email'), []) as emails,
        coalesce(list(value order by value) filter (where kind = 'phone'), []) as phones,
        coalesce(list(value order by value) filter (where kind in ('handle', 'agent')), []) as handles,
        coalesce(list(value order by value) filter (where kind = 'agent'), []) as agents,
    from identities
    where value is not null and value <> ''
)

select * from final
