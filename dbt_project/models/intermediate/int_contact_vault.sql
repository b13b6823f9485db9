{{ config(materialized='view') }}

with

final as (
    select contact_point_key, kind, value, customer_key,
    from {{ ref('int_contact_points') }}
)

select * from final
