-- Deals -> orders: an order once it is won. Until then, and when it is lost, it is void.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "Amount": "VARCHAR", "Currency": "VARCHAR", "Stage": "VARCHAR", "Probability": "VARCHAR",
            "Closing_Date": "VARCHAR", "Contact_Name": {"id": "VARCHAR"}, "Account_Name": {"id": "VARCHAR"},
            "Modified_Time": "VARCHAR", "deleted_time": "VARCHAR"
        }') as deal,
    from records
),

final as (
    select
        row_number,
        record,
        deal.id as order_id,
        coalesce(deal.Contact_Name.id, deal.Account_Name.id) as customer_id,
        deal.Closing_Date as ordered_at,
        deal.Amount as amount,
        deal.Currency as currency,
        -- a company names its stages itself; what is won is certain
        case when lower(deal.Stage) = 'closed won' or deal.Probability = '100' then 'won' else 'void' end as status,
        coalesce(deal.deleted_time, deal.Modified_Time) as updated_at,
        case when deal.deleted_time is not null then 'true' end as is_deleted,
    from parsed
)

select * from final
