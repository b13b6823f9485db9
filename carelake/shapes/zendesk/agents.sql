-- Agents and administrators -> agents.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "name": "VARCHAR", "email": "VARCHAR", "phone": "VARCHAR", "default_group_id": "VARCHAR",
            "active": "VARCHAR", "updated_at": "VARCHAR"
        }') as person,
    from records
),

final as (
    select
        row_number,
        record,
        $system || ':' || person.id as agent_id,
        person.name as agent_name,
        person.email as email,
        person.phone as phone,
        person.updated_at as updated_at,
    from parsed
)

select * from final
