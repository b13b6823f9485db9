-- Rows here are faults: times in a segment that overlap or are empty, or customers whose last one is not theirs.
with

followed as (
    select *, lead(valid_from) over (partition by customer_key order by valid_from) as next_from,
    from {{ ref('segment_history') }}
),

overlapping as (
    select customer_key,
    from followed
    where valid_from >= valid_to or valid_to > next_from or (valid_to is null and next_from is not null)
),

-- A home that has not scored since it keeps changes has none.
contradicted as (
    select segments.customer_key,
    from {{ ref('customer_segments') }} as segments
    inner join {{ ref('segment_history') }} as history using (customer_key)
    where history.is_current and history.segment_name <> segments.segment_name
)

select * from overlapping
union all
select * from contradicted
