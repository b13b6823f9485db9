-- Opportunity -> orders: an order once it is won. Until then, and when it is lost, it is void.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "Id": "VARCHAR", "AccountId": "VARCHAR", "ContactId": "VARCHAR", "Amount": "VARCHAR",
            "CurrencyIsoCode": "VARCHAR", "IsWon": "VARCHAR", "CloseDate": "VARCHAR", "SystemModstamp": "VARCHAR",
            "IsDeleted": "VARCHAR"
        }') as opportunity,
    from records
),

final as (
    select
        row_number,
        record,
        opportunity.Id as order_id,
        coalesce(opportunity.ContactId, opportunity.AccountId) as customer_id,
        opportunity.CloseDate as ordered_at,
        opportunity.Amount as amount,
        opportunity.CurrencyIsoCode as currency,
        case when opportunity.IsWon = 'true' then 'won' else 'void' end as status,
        opportunity.SystemModstamp as updated_at,
        opportunity.IsDeleted as is_deleted,
    from parsed
)

select * from final
