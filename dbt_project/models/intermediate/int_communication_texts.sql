{{ config(materialized='view') }}

with

final as (
    select
        communication_key,
        coalesce(subject_unmasked, subject_masked) as subject,
        coalesce(text_unmasked, text_masked) as body,
    from {{ ref('int_communications') }}
    where subject_masked is not null or text_masked is not null
)

select * from final
