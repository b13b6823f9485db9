-- emails -> communications. What a mail regards is a case, or who wrote it.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "activityid": "VARCHAR", "subject": "VARCHAR", "description": "VARCHAR", "statecode": "VARCHAR",
            "directioncode": "VARCHAR", "sender": "VARCHAR", "torecipients": "VARCHAR", "senton": "VARCHAR",
            "actualend": "VARCHAR", "createdon": "VARCHAR", "_regardingobjectid_value": "VARCHAR",
            "_regardingobjectid_value@Microsoft.Dynamics.CRM.lookuplogicalname": "VARCHAR",
            "_parentactivityid_value": "VARCHAR", "_ownerid_value": "VARCHAR", "modifiedon": "VARCHAR",
            "id": "VARCHAR", "reason": "VARCHAR"
        }') as mail,
    from records
),

regarded as (
    select *, mail."_regardingobjectid_value@Microsoft.Dynamics.CRM.lookuplogicalname" as regards,
    from parsed
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"description": null}') as record,
        coalesce(mail.activityid, mail.id) as communication_id,
        case when regards = 'incident' then mail."_regardingobjectid_value" end as conversation_id,
        mail."_parentactivityid_value" as in_reply_to,
        'email' as channel,
        case when mail.directioncode = 'true' then 'outbound' else 'inbound' end as direction,
        case when regards in ('contact', 'account') then mail."_regardingobjectid_value" end as customer_id,
        mail.sender as from_address,
        first_address(mail.torecipients) as to_address,
        case when mail.directioncode = 'true' then mail."_ownerid_value" end as agent,
        coalesce(mail.senton, mail.actualend, mail.createdon) as sent_at,
        mail.subject as subject,
        plain_text(mail.description) as body,
        case when mail.reason is null then mail.modifiedon else $landed_at end as updated_at,
        -- a draft was not sent yet
        case when mail.reason is not null or mail.statecode <> '1' then 'true' end as is_deleted,
    from regarded
)

select * from final
