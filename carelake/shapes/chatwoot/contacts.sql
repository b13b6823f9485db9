-- Contacts -> customers. The identifier is what the company itself calls them.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "name": "VARCHAR", "email": "VARCHAR", "phone_number": "VARCHAR", "identifier": "VARCHAR",
            "additional_attributes": {"city": "VARCHAR", "country": "VARCHAR"},
            "created_at": "VARCHAR", "last_activity_at": "VARCHAR"
        }') as contact,
    from records
),

final as (
    select
        row_number,
        record,
        $system || ':' || contact.id as customer_id,
        contact.name as customer_name,
        contact.email as email,
        contact.phone_number as phone,
        contact.identifier as handle,
        contact.additional_attributes.city as city,
        contact.additional_attributes.country as country,
        contact.created_at as created_at,
        coalesce(contact.last_activity_at, contact.created_at) as updated_at,
    from parsed
)

select * from final
