-- Rows here are faults: times of a customer that overlap, leave a gap, or are empty.
with

followed as (
    select
        *,
        row_number() over versions as number,
        lead(valid_from) over versions as next_from,
    from {{ ref('customer_history') }}
    window versions as (partition by customer_key order by valid_from nulls first)
)

select *
from followed
where
    valid_to is distinct from next_from
    or valid_from >= valid_to
    or (valid_from is null and number > 1)
