-- Rows here are faults: conversations that no matter counts, or two.
with

counted as (
    select
        (select count(*) from {{ ref('fct_conversations') }}) as n_conversations,
        (select sum(n_conversations) from {{ ref('fct_matters') }}) as n_in_matters,
)

select * from counted
where n_conversations <> coalesce(n_in_matters, 0)
