-- Contact -> customers. One that was merged stays, as another name of the one it was merged into.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "Id": "VARCHAR", "MasterRecordId": "VARCHAR", "Name": "VARCHAR", "Email": "VARCHAR",
            "Phone": "VARCHAR", "MobilePhone": "VARCHAR", "MailingCity": "VARCHAR", "MailingCountry": "VARCHAR",
            "OwnerId": "VARCHAR", "CreatedDate": "VARCHAR", "SystemModstamp": "VARCHAR", "IsDeleted": "VARCHAR",
            "DoNotCall": "VARCHAR", "HasOptedOutOfEmail": "VARCHAR"
        }') as contact,
    from records
),

final as (
    select
        row_number,
        record,
        contact.Id as customer_id,
        contact.MasterRecordId as merged_into,
        contact.Name as customer_name,
        contact.Email as email,
        coalesce(contact.MobilePhone, contact.Phone) as phone,
        contact.MailingCity as city,
        contact.MailingCountry as country,
        -- both ways must be closed, and both fields asked for
        case when contact.DoNotCall = 'true' and contact.HasOptedOutOfEmail = 'true' then 'true' end as do_not_contact,
        contact.OwnerId as agent,
        contact.CreatedDate as created_at,
        contact.SystemModstamp as updated_at,
        case when contact.MasterRecordId is null then contact.IsDeleted else 'false' end as is_deleted,
    from parsed
)

select * from final
