-- End users -> customers. Agents are another object.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "name": "VARCHAR", "email": "VARCHAR", "phone": "VARCHAR", "locale": "VARCHAR",
            "role": "VARCHAR", "active": "VARCHAR", "created_at": "VARCHAR", "updated_at": "VARCHAR"
        }') as person,
    from records
),

final as (
    select
        row_number,
        record,
        $system || ':' || person.id as customer_id,
        person.name as customer_name,
        person.email as email,
        person.phone as phone,
        person.locale as language,
        person.created_at as created_at,
        person.updated_at as updated_at,
        case when person.active = 'false' then 'true' end as is_deleted,
    from parsed
    where person.role is null or person.role not in ('agent', 'admin')
)

select * from final
