-- appointments -> communications in person, once they took place.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "activityid": "VARCHAR", "subject": "VARCHAR", "description": "VARCHAR", "statecode": "VARCHAR",
            "scheduledstart": "VARCHAR", "actualstart": "VARCHAR", "actualdurationminutes": "VARCHAR",
            "createdon": "VARCHAR", "_regardingobjectid_value": "VARCHAR",
            "_regardingobjectid_value@Microsoft.Dynamics.CRM.lookuplogicalname": "VARCHAR",
            "_ownerid_value": "VARCHAR", "modifiedon": "VARCHAR", "id": "VARCHAR", "reason": "VARCHAR"
        }') as appointment,
    from records
),

regarded as (
    select *, appointment."_regardingobjectid_value@Microsoft.Dynamics.CRM.lookuplogicalname" as regards,
    from parsed
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"description": null}') as record,
        coalesce(appointment.activityid, appointment.id) as communication_id,
        case when regards = 'incident' then appointment."_regardingobjectid_value" end as conversation_id,
        'in_person' as channel,
        'outbound' as direction,
        case when regards in ('contact', 'account') then appointment."_regardingobjectid_value" end as customer_id,
        appointment."_ownerid_value" as agent,
        coalesce(appointment.actualstart, appointment.scheduledstart, appointment.createdon) as sent_at,
        appointment.subject as subject,
        plain_text(appointment.description) as body,
        coalesce(
            (60 * try_cast(appointment.actualdurationminutes as bigint))::varchar, appointment.actualdurationminutes
        ) as duration_seconds,
        case when appointment.reason is null then appointment.modifiedon else $landed_at end as updated_at,
        case when appointment.reason is not null or appointment.statecode <> '1' then 'true' end as is_deleted,
    from regarded
)

select * from final
