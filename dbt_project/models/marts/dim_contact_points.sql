with

final as (
    select
        contact_point_key,
        customer_key,
        kind,
        {{ mask_value('kind', 'value') }} as value_masked,
        is_shared,
        first_seen_at,
    from {{ ref('int_contact_points') }}
)

select * from final
