-- phonecalls -> communications. What a call regards is a case, or who was called.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "activityid": "VARCHAR", "subject": "VARCHAR", "description": "VARCHAR", "statecode": "VARCHAR",
            "directioncode": "VARCHAR", "phonenumber": "VARCHAR", "actualstart": "VARCHAR", "actualend": "VARCHAR",
            "actualdurationminutes": "VARCHAR", "createdon": "VARCHAR", "_regardingobjectid_value": "VARCHAR",
            "_regardingobjectid_value@Microsoft.Dynamics.CRM.lookuplogicalname": "VARCHAR",
            "_ownerid_value": "VARCHAR", "modifiedon": "VARCHAR", "id": "VARCHAR", "reason": "VARCHAR"
        }') as call,
    from records
),

regarded as (
    select *, call."_regardingobjectid_value@Microsoft.Dynamics.CRM.lookuplogicalname" as regards,
    from parsed
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"description": null}') as record,
        coalesce(call.activityid, call.id) as communication_id,
        case when regards = 'incident' then call."_regardingobjectid_value" end as conversation_id,
        'phone' as channel,
        case when call.directioncode = 'true' then 'outbound' else 'inbound' end as direction,
        case when regards in ('contact', 'account') then call."_regardingobjectid_value" end as customer_id,
        call.phonenumber as phone,
        call."_ownerid_value" as agent,
        coalesce(call.actualstart, call.actualend, call.createdon) as sent_at,
        call.subject as subject,
        call.description as body,
        coalesce((60 * try_cast(call.actualdurationminutes as bigint))::varchar, call.actualdurationminutes)
            as duration_seconds,
        case when call.reason is null then call.modifiedon else $landed_at end as updated_at,
        -- what is only planned, or was called off, was not said; it comes again when it is done
        case when call.reason is not null or call.statecode <> '1' then 'true' end as is_deleted,
    from regarded
)

select * from final
