{{ config(materialized='view') }}

with

rejected as (
    select batch_id, file_name, row_number, reason,
    from {{ ref('stg_email_messages__classified') }}
    where disposition = 'rejected'
),

final as (
    select source.*, rejected.reason,
    from {{ source('raw', 'email_messages') }} as source
    inner join rejected using (batch_id, file_name, row_number)
)

select * from final
