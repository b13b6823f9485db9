-- Calls -> communications, in the conversation of their case where they have one.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "Subject": "VARCHAR", "Call_Type": "VARCHAR", "Call_Status": "VARCHAR",
            "Call_Start_Time": "VARCHAR", "Call_Duration_in_seconds": "VARCHAR", "Who_Id": {"id": "VARCHAR"},
            "What_Id": {"id": "VARCHAR"}, "$se_module": "VARCHAR", "Description": "VARCHAR",
            "Owner": {"id": "VARCHAR"}, "Modified_Time": "VARCHAR", "deleted_time": "VARCHAR"
        }') as call,
    from records
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"Description": null}') as record,
        call.id as communication_id,
        case when call."$se_module" = 'Cases' then call.What_Id.id end as conversation_id,
        'phone' as channel,
        case when lower(call.Call_Type) = 'outbound' then 'outbound' else 'inbound' end as direction,
        -- what a call is about may be a company, which then is the customer
        coalesce(call.Who_Id.id, case when call."$se_module" = 'Accounts' then call.What_Id.id end) as customer_id,
        call.Owner.id as agent,
        call.Call_Start_Time as sent_at,
        call.Subject as subject,
        call.Description as body,
        case when lower(call.Call_Type) = 'missed' then 'missed' end as status,
        call.Call_Duration_in_seconds as duration_seconds,
        coalesce(call.deleted_time, call.Modified_Time) as updated_at,
        -- what is only planned was not said yet; it comes again when it is done
        case when call.deleted_time is not null or lower(call.Call_Status) = 'scheduled' then 'true' end as is_deleted,
    from parsed
)

select * from final
