-- Contacts -> customers. A record of the listing of deleted ones has `deleted_time` and little else.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "Full_Name": "VARCHAR", "Email": "VARCHAR", "Phone": "VARCHAR", "Mobile": "VARCHAR",
            "Mailing_City": "VARCHAR", "Mailing_Country": "VARCHAR", "Owner": {"id": "VARCHAR"},
            "Created_Time": "VARCHAR", "Modified_Time": "VARCHAR", "deleted_time": "VARCHAR"
        }') as contact,
    from records
),

final as (
    select
        row_number,
        record,
        contact.id as customer_id,
        contact.Full_Name as customer_name,
        contact.Email as email,
        coalesce(contact.Mobile, contact.Phone) as phone,
        contact.Mailing_City as city,
        contact.Mailing_Country as country,
        contact.Owner.id as agent,
        contact.Created_Time as created_at,
        coalesce(contact.deleted_time, contact.Modified_Time) as updated_at,
        case when contact.deleted_time is not null then 'true' end as is_deleted,
    from parsed
)

select * from final
