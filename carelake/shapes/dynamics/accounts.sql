-- accounts -> customers: a company is a customer of its own.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "accountid": "VARCHAR", "name": "VARCHAR", "emailaddress1": "VARCHAR", "telephone1": "VARCHAR",
            "address1_city": "VARCHAR", "address1_country": "VARCHAR", "_masterid_value": "VARCHAR",
            "_ownerid_value": "VARCHAR", "createdon": "VARCHAR", "modifiedon": "VARCHAR",
            "id": "VARCHAR", "reason": "VARCHAR"
        }') as account,
    from records
),

final as (
    select
        row_number,
        record,
        coalesce(account.accountid, account.id) as customer_id,
        account."_masterid_value" as merged_into,
        account.name as customer_name,
        account.emailaddress1 as email,
        account.telephone1 as phone,
        account.address1_city as city,
        account.address1_country as country,
        account."_ownerid_value" as agent,
        account.createdon as created_at,
        case when account.reason is null then account.modifiedon else $landed_at end as updated_at,
        case when account.reason is not null then 'true' end as is_deleted,
    from parsed
)

select * from final
