{{ config(materialized='view') }}

with

settings as (
    select as_of from {{ ref('int_as_of') }}
),

final as (
    select
        needs.conversation_key,
        needs.need,
        coalesce(named.name, 'Unknown') as need_name,
        named.name_zh as need_name_zh,
        coalesce(named.is_presale, false) as is_presale,
        needs.evidence,
        needs.customer_key,
        needs.order_key,
        needs.channel,
        needs.is_inbound,
        needs.opened_at,
        needs.closed_at,
        needs.is_resolved,
        coalesce(needs.is_resolved and needs.closed_at + interval 7 day > settings.as_of, false) as is_provisional,
    from {{ ref('int_needs_in_order') }} as needs
    cross join settings
    left join {{ source('ops', 'needs') }} as named using (need)
)

select * from final
