-- User -> agents: who owns cases and contacts.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "Id": "VARCHAR", "Name": "VARCHAR", "Email": "VARCHAR", "Phone": "VARCHAR",
            "UserRole": {"Name": "VARCHAR"}, "Manager": {"Name": "VARCHAR"}, "SystemModstamp": "VARCHAR"
        }') as person,
    from records
),

final as (
    select
        row_number,
        record,
        person.Id as agent_id,
        person.Name as agent_name,
        person.Email as email,
        person.Phone as phone,
        person.UserRole.Name as team,
        person.Manager.Name as manager,
        person.SystemModstamp as updated_at,
    from parsed
)

select * from final
