-- Who talked when, of calls that more than one of us talked in: a transfer is a hand-over.
with

talks as (
    select
        source_name,
        call_id,
        leg_id,
        agent,
        answered_at,
        min(lower(agent)) over in_call <> max(lower(agent)) over in_call as has_several,
    from {{ ref('int_call_legs') }}
    where is_talk and agent is not null
    window in_call as (partition by source_name, call_id)
),

final as (
    select talks.source_name, talks.call_id, talks.leg_id, talks.answered_at, agents.agent_key,
    from talks
    inner join {{ ref('int_agent_aliases') }} as agents on lower(talks.agent) = agents.alias
    where talks.has_several
)

select * from final
