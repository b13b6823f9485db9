-- opportunities -> orders: an order once it is won. Until then, and when it is lost, it is void.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "opportunityid": "VARCHAR", "statecode": "VARCHAR", "actualvalue": "VARCHAR", "estimatedvalue": "VARCHAR",
            "actualclosedate": "VARCHAR", "estimatedclosedate": "VARCHAR", "_customerid_value": "VARCHAR",
            "_parentcontactid_value": "VARCHAR", "modifiedon": "VARCHAR", "id": "VARCHAR", "reason": "VARCHAR"
        }') as opportunity,
    from records
),

final as (
    select
        row_number,
        record,
        coalesce(opportunity.opportunityid, opportunity.id) as order_id,
        coalesce(opportunity."_parentcontactid_value", opportunity."_customerid_value") as customer_id,
        coalesce(opportunity.actualclosedate, opportunity.estimatedclosedate) as ordered_at,
        coalesce(opportunity.actualvalue, opportunity.estimatedvalue) as amount,
        case when opportunity.statecode = '1' then 'won' else 'void' end as status,
        case when opportunity.reason is null then opportunity.modifiedon else $landed_at end as updated_at,
        case when opportunity.reason is not null then 'true' end as is_deleted,
    from parsed
)

select * from final
