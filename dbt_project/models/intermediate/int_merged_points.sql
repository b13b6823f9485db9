-- What people decided: contact points that belong to one person, whatever else they look like.
with recursive

merges as (
    select decision_id, unnest(points) as contact_point_key,
    from {{ source('care', 'identity_decisions') }}
    where action = 'merge' and undone_at is null
),

-- Decisions that name the same point are about the same person: the smallest key spreads over them.
spread (contact_point_key, person_key) using key (contact_point_key) as (
    select merges.contact_point_key, min(others.contact_point_key)
    from merges
    inner join merges as others using (decision_id)
    group by merges.contact_point_key
    union
    select others.contact_point_key, min(spread.person_key)
    from spread
    inner join merges using (contact_point_key)
    inner join merges as others using (decision_id)
    inner join recurring.spread as known on others.contact_point_key = known.contact_point_key
    where spread.person_key < known.person_key
    group by others.contact_point_key
),

final as (
    select contact_point_key, person_key from spread
)

select * from final
