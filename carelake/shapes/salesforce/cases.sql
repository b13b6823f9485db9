-- Case -> conversations. A case without a contact is its account's.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "Id": "VARCHAR", "ContactId": "VARCHAR", "AccountId": "VARCHAR", "SuppliedName": "VARCHAR",
            "SuppliedEmail": "VARCHAR", "SuppliedPhone": "VARCHAR", "Origin": "VARCHAR", "Status": "VARCHAR",
            "IsClosed": "VARCHAR", "Type": "VARCHAR", "Reason": "VARCHAR", "Subject": "VARCHAR", "OwnerId": "VARCHAR",
            "CreatedDate": "VARCHAR", "ClosedDate": "VARCHAR", "SystemModstamp": "VARCHAR", "IsDeleted": "VARCHAR"
        }') as service_case,
    from records
),

final as (
    select
        row_number,
        record,
        service_case.Id as conversation_id,
        channel_of(service_case.Origin) as channel,
        status_of(service_case.Status, service_case.IsClosed = 'true') as status,
        coalesce(service_case.Type, service_case.Reason) as category,
        service_case.Subject as subject,
        coalesce(service_case.ContactId, service_case.AccountId) as customer_id,
        service_case.SuppliedName as customer_name,
        service_case.SuppliedEmail as email,
        service_case.SuppliedPhone as phone,
        -- a queue owns what nobody has taken
        case when not starts_with(service_case.OwnerId, '00G') then service_case.OwnerId end as agent,
        service_case.CreatedDate as opened_at,
        case when service_case.IsClosed = 'true' then service_case.ClosedDate end as closed_at,
        service_case.SystemModstamp as updated_at,
        service_case.IsDeleted as is_deleted,
    from parsed
)

select * from final
