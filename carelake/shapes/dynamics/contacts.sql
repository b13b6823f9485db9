-- contacts -> customers. One that was merged stays, as another name of the one it was merged into. What
-- was deleted has nothing but an `id` and a `reason`.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "contactid": "VARCHAR", "fullname": "VARCHAR", "emailaddress1": "VARCHAR", "telephone1": "VARCHAR",
            "mobilephone": "VARCHAR", "address1_city": "VARCHAR", "address1_country": "VARCHAR",
            "gendercode@OData.Community.Display.V1.FormattedValue": "VARCHAR", "donotemail": "VARCHAR",
            "donotphone": "VARCHAR", "preferredcontactmethodcode": "VARCHAR", "_masterid_value": "VARCHAR",
            "_ownerid_value": "VARCHAR", "createdon": "VARCHAR", "modifiedon": "VARCHAR",
            "id": "VARCHAR", "reason": "VARCHAR"
        }') as contact,
    from records
),

final as (
    select
        row_number,
        record,
        coalesce(contact.contactid, contact.id) as customer_id,
        contact."_masterid_value" as merged_into,
        contact.fullname as customer_name,
        contact.emailaddress1 as email,
        coalesce(contact.mobilephone, contact.telephone1) as phone,
        contact."gendercode@OData.Community.Display.V1.FormattedValue" as gender,
        contact.address1_city as city,
        contact.address1_country as country,
        case contact.preferredcontactmethodcode when '2' then 'email' when '3' then 'phone' end as preferred_channel,
        case when contact.donotemail = 'true' and contact.donotphone = 'true' then 'true' end as do_not_contact,
        contact."_ownerid_value" as agent,
        contact.createdon as created_at,
        case when contact.reason is null then contact.modifiedon else $landed_at end as updated_at,
        case when contact.reason is not null then 'true' end as is_deleted,
    from parsed
)

select * from final
