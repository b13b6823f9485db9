with recursive

points as (
    select contact_point_key, point_number, kind, value, crm_namespace, crm,
    from {{ ref('int_numbered_points') }}
    where not is_shared
),

decided as (
    select decision_id, action, decided_at, unnest(points) as contact_point_key,
    from {{ source('care', 'identity_decisions') }}
    where undone_at is null
),

decisions as (
    select decided.decision_id, decided.action, decided.decided_at, points.point_number,
    from decided
    inner join points using (contact_point_key)
),

splits as (
    select point_number, decided_at, decision_id from decisions
    where action = 'split'
),

-- Points that a person set apart stand on another side of it than those they were seen with.
sides as (
    select point_number, hash(list_sort(list(decision_id))) as side,
    from splits
    group by point_number
),

-- What was seen together on a record, and what a person said belongs together: the later word counts.
evidence as materialized (
    select
        case
            when sides.side is null then mentions.identity_key else hash(mentions.identity_key, sides.side)
        end as evidence_id,
        points.point_number,
        mentions.crm_namespace,
    from {{ ref('int_identity_points') }} as mentions
    inner join points using (kind, value)
    left join sides using (point_number)
    union all
    select hash(merges.decision_id, list_sort(list(splits.decision_id))), merges.point_number, '*'
    from decisions as merges
    left join splits on merges.point_number = splits.point_number and merges.decided_at < splits.decided_at
    where merges.action = 'merge'
    group by merges.decision_id, merges.point_number
),

{{ connected('joined', 'evidence') }},

-- Who writes to a helpdesk from two addresses has two ids there: those do not say that there are two people.
ids_of_addresses as (
    select id_namespace as crm_namespace,
    from {{ source('ops', 'sources') }}
    where id_namespace <> 'crm' and kind in {{ kinds_by_address() }}
    group by id_namespace
),

-- A chain of records may lead from one CRM id to another of the same system. Then only the records that name an
-- id of that system join there, for each of its points goes with one id at most.
conflicts as materialized (
    select first_point, min(crm_namespace) as crm_namespace,
    from (
        select joined.first_point, points.crm_namespace,
        from joined
        inner join points using (point_number)
        anti join ids_of_addresses using (crm_namespace)
        where points.kind = 'crm'
        group by joined.first_point, points.crm_namespace
        having count(distinct points.crm) > 1
    ) as mixed
    group by first_point
),

certain_evidence as materialized (
    select evidence.evidence_id, evidence.point_number,
    from evidence
    inner join joined using (point_number)
    inner join conflicts using (first_point)
    where evidence.crm_namespace in (conflicts.crm_namespace, '*')
),

{{ connected('certain', 'certain_evidence') }},

final as (
    select joined.point_number, joined.first_point,
    from joined
    anti join conflicts using (first_point)
    union all
    select point_number, first_point from certain
)

select * from final
