with

changes as (
    select changes.customer_key, changes.scored_as_of, changes.segment_id, changes.segment_name, changes.model_digest,
    from {{ source('ml', 'segment_changes') }} as changes
    cross join {{ ref('int_as_of') }} as settings
    semi join {{ ref('int_customers') }} as customers on changes.customer_key = customers.customer_key
    where changes.scored_as_of <= settings.as_of
),

-- A scoring made again may leave two changes to the same segment.
compared as (
    select *, lag(segment_name) over (partition by customer_key order by scored_as_of) as name_before,
    from changes
),

placed as (
    select *, lead(scored_as_of) over (partition by customer_key order by scored_as_of) as valid_to,
    from compared
    where segment_name is distinct from name_before
),

-- Without a name: the customer was not there for a while, as after a merger that was undone.
final as (
    select
        customer_key,
        scored_as_of as valid_from,
        valid_to,
        valid_to is null as is_current,
        segment_id,
        segment_name,
        model_digest,
    from placed
    where segment_name is not null
)

select * from final
