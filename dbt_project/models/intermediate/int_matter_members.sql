with recursive

links as (
    select * from {{ ref('int_matter_links') }}
),

conversations as (
    select conversation_key, opened_at from {{ ref('int_conversations') }}
),

linked as (
    select conversation_key from links
    union
    select joined_to from links
),

numbered as materialized (
    select
        conversation_key,
        row_number() over (order by conversations.opened_at nulls last, conversation_key) as point_number,
    from linked
    inner join conversations using (conversation_key)
),

evidence as (
    select row_number() over (order by links.conversation_key, links.joined_to, links.evidence) as link, links.*,
    from links
),

sides as materialized (
    select evidence.link as evidence_id, numbered.point_number,
    from evidence
    inner join numbered using (conversation_key)
    union all
    select evidence.link, numbered.point_number,
    from evidence
    inner join numbered on evidence.joined_to = numbered.conversation_key
),

{{ connected('joined', 'sides') }},

matters as (
    select numbered.conversation_key, firsts.conversation_key as matter_key,
    from joined
    inner join numbered using (point_number)
    inner join numbered as firsts on joined.first_point = firsts.point_number
),

reasons as (
    select
        conversation_key,
        min(joined_to) filter (where evidence = 'case_number') as case_joined_to,
        min(joined_to) as joined_to,
        bool_or(evidence = 'case_number') as has_case_number,
    from links
    group by conversation_key
),

united as (
    select
        coalesce(matters.matter_key, numbered.conversation_key) as matter_key,
        numbered.conversation_key,
        numbered.point_number,
        coalesce(reasons.case_joined_to, reasons.joined_to) as joined_to,
        case
            when reasons.has_case_number then 'case_number'
            when reasons.joined_to is not null then 'customer_and_need'
        end as evidence,
    from numbered
    left join matters using (conversation_key)
    left join reasons using (conversation_key)
),

final as (
    select
        matter_key,
        conversation_key,
        (row_number() over (partition by matter_key order by point_number))::integer as position,
        joined_to,
        evidence,
    from united
)

select * from final
