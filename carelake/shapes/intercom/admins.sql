-- Admins (teammates) -> agents.
with

parsed as (
    select row_number, record, from_json(record, '{"id": "VARCHAR", "name": "VARCHAR", "email": "VARCHAR"}') as person,
    from records
),

final as (
    select
        row_number,
        record,
        $system || ':' || person.id as agent_id,
        person.name as agent_name,
        person.email as email,
    from parsed
)

select * from final
