-- Accounts -> customers: a company is a customer of its own.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "Account_Name": "VARCHAR", "Phone": "VARCHAR", "Billing_City": "VARCHAR",
            "Billing_Country": "VARCHAR", "Owner": {"id": "VARCHAR"}, "Created_Time": "VARCHAR",
            "Modified_Time": "VARCHAR", "deleted_time": "VARCHAR"
        }') as account,
    from records
),

final as (
    select
        row_number,
        record,
        account.id as customer_id,
        account.Account_Name as customer_name,
        account.Phone as phone,
        account.Billing_City as city,
        account.Billing_Country as country,
        account.Owner.id as agent,
        account.Created_Time as created_at,
        coalesce(account.deleted_time, account.Modified_Time) as updated_at,
        case when account.deleted_time is not null then 'true' end as is_deleted,
    from parsed
)

select * from final
