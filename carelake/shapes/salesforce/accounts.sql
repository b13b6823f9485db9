-- Account -> customers. One that was merged stays, as another name of the one it was merged into.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "Id": "VARCHAR", "MasterRecordId": "VARCHAR", "Name": "VARCHAR",
            "Phone": "VARCHAR", "BillingCity": "VARCHAR", "BillingCountry": "VARCHAR",
            "OwnerId": "VARCHAR", "CreatedDate": "VARCHAR", "SystemModstamp": "VARCHAR", "IsDeleted": "VARCHAR"
        }') as account,
    from records
),

final as (
    select
        row_number,
        record,
        account.Id as customer_id,
        account.MasterRecordId as merged_into,
        account.Name as customer_name,
        account.Phone as phone,
        account.BillingCity as city,
        account.BillingCountry as country,
        account.OwnerId as agent,
        account.CreatedDate as created_at,
        account.SystemModstamp as updated_at,
        case when account.MasterRecordId is null then account.IsDeleted else 'false' end as is_deleted,
    from parsed
)

select * from final
