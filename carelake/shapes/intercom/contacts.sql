-- Contacts (users and leads) -> customers.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "name": "VARCHAR", "email": "VARCHAR", "phone": "VARCHAR", "owner_id": "VARCHAR",
            "language_override": "VARCHAR", "location": {"city": "VARCHAR", "country": "VARCHAR"},
            "created_at": "VARCHAR", "updated_at": "VARCHAR"
        }') as contact,
    from records
),

final as (
    select
        row_number,
        record,
        contact.id as customer_id,
        contact.name as customer_name,
        contact.email as email,
        contact.phone as phone,
        contact.location.city as city,
        contact.location.country as country,
        contact.language_override as language,
        $system || ':' || contact.owner_id as agent,
        contact.created_at as created_at,
        contact.updated_at as updated_at,
    from parsed
)

select * from final
