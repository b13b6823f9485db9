-- systemusers -> agents: who owns cases and contacts.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "systemuserid": "VARCHAR", "fullname": "VARCHAR", "internalemailaddress": "VARCHAR",
            "address1_telephone1": "VARCHAR", "modifiedon": "VARCHAR",
            "_businessunitid_value@OData.Community.Display.V1.FormattedValue": "VARCHAR",
            "_parentsystemuserid_value@OData.Community.Display.V1.FormattedValue": "VARCHAR"
        }') as person,
    from records
),

final as (
    select
        row_number,
        record,
        person.systemuserid as agent_id,
        person.fullname as agent_name,
        person.internalemailaddress as email,
        person.address1_telephone1 as phone,
        person."_businessunitid_value@OData.Community.Display.V1.FormattedValue" as team,
        person."_parentsystemuserid_value@OData.Community.Display.V1.FormattedValue" as manager,
        person.modifiedon as updated_at,
    from parsed
)

select * from final
