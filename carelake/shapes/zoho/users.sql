-- Users -> agents: who owns cases and contacts.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "full_name": "VARCHAR", "email": "VARCHAR", "phone": "VARCHAR",
            "role": {"name": "VARCHAR"}, "Reporting_To": {"name": "VARCHAR"}, "Modified_Time": "VARCHAR"
        }') as person,
    from records
),

final as (
    select
        row_number,
        record,
        person.id as agent_id,
        person.full_name as agent_name,
        person.email as email,
        person.phone as phone,
        person.role.name as team,
        person.Reporting_To.name as manager,
        person.Modified_Time as updated_at,
    from parsed
)

select * from final
