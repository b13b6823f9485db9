{{ config(materialized='view') }}

with

final as (
    select * exclude (row_hash, reason, disposition),
    from {{ ref('stg_communications__classified') }}
    where disposition = 'staged'
)

select * from final
