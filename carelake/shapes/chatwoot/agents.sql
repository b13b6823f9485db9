-- Agents and administrators -> agents.
with

parsed as (
    select row_number, record, from_json(record, '{"id": "VARCHAR", "name": "VARCHAR", "available_name": "VARCHAR", "email": "VARCHAR"}') as person,
    from records
),

final as (
    select
        row_number,
        record,
        $system || ':' || person.id as agent_id,
        coalesce(person.name, person.available_name) as agent_name,
        person.email as email,
    from parsed
)

select * from final
