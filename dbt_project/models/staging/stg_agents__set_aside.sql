{{ set_aside('stg_agents__typed', 'agent_id') }}
