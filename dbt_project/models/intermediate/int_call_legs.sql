-- Sources name the legs of a call in two ways: all carry one call id, or a leg names another one. Both
-- together make groups; the smallest call id spreads along the links until nothing changes.
with recursive

legs as (
    select * from {{ ref('stg_call_legs') }}
),

pairs as (
    select distinct
        legs.source_name,
        legs.call_id as one,
        coalesce(others.call_id, legs.linked_leg_id) as other,
    from legs
    left join legs as others
        on legs.source_name = others.source_name and legs.linked_leg_id = others.leg_id
    where legs.linked_leg_id is not null and coalesce(others.call_id, legs.linked_leg_id) <> legs.call_id
),

links as (
    select source_name, one, other from pairs
    union
    select source_name, other, one from pairs
),

groups (source_name, call_id, first_call_id) using key (source_name, call_id) as (
    select source_name, one, least(one, min(other)) from links
    group by source_name, one
    union
    select known.source_name, known.call_id, min(groups.first_call_id)
    from groups
    inner join links on groups.source_name = links.source_name and groups.call_id = links.one
    inner join recurring.groups as known
        on links.source_name = known.source_name and links.other = known.call_id
    where groups.first_call_id < known.first_call_id
    group by known.source_name, known.call_id
),

grouped as (
    select
        legs.* exclude (call_id),
        legs.call_id as leg_call_id,
        coalesce(groups.first_call_id, legs.call_id) as group_id,
        legs.answered_at is not null
        and coalesce(legs.talk_seconds, 1) > 0
        and coalesce(legs.status, '') not in {{ unanswered_words() }}
        -- answered, and joined to nobody: by a machine, unless it is the other end of a leg that is here
        and (
            coalesce(legs.status, '') <> 'unbridged'
            or count(*) over (partition by legs.source_name, coalesce(groups.first_call_id, legs.call_id)) > 1
        ) as is_answered,
    from legs
    left join groups using (source_name, call_id)
),

ordered as (
    select
        *,
        first_value(leg_call_id) over in_order as call_id,
        row_number() over in_order as leg_number,
        first_value(leg_id) over in_order as first_leg_id,
        first_value(linked_leg_id) over in_order as first_linked_leg_id,
        count(*) filter (where is_answered and queue is null) over (partition by source_name, group_id) > 0
            as is_answered_beyond_queue,
    from grouped
    -- numbers that count up grow longer: 9 comes before 10
    window in_order as (partition by source_name, group_id order by started_at, length(leg_id), leg_id)
),

-- Where both ends are recorded, the other end tells when somebody took the call: the caller may have talked to a
-- machine until then.
judged as (
    select
        *,
        bool_or(is_answered and leg_number > 1 and (linked_leg_id = first_leg_id or leg_id = first_linked_leg_id))
            over (partition by source_name, group_id) as is_answered_at_other_end,
    from ordered
),

final as (
    select
        source_name,
        call_id,
        leg_id,
        leg_number,
        conversation_id,
        direction,
        customer_id,
        email,
        phone,
        handle,
        customer_name,
        from_address,
        to_address,
        agent,
        queue,
        status,
        started_at,
        answered_at,
        ended_at,
        talk_seconds,
        hold_seconds,
        -- a leg in a queue is answered by the queue; who talked is known from the legs behind it, if there are any
        is_answered
        and (queue is null or not is_answered_beyond_queue)
        and not (leg_number = 1 and coalesce(is_answered_at_other_end, false)) as is_talk,
        extracted_at,
        attributes,
        row_hash,
    from judged
)

select * from final
