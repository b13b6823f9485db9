-- incidents (cases) -> conversations. Dataverse keeps no time of the close on a case: it is when a closed
-- one was last changed.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "incidentid": "VARCHAR", "title": "VARCHAR", "statecode": "VARCHAR",
            "caseorigincode@OData.Community.Display.V1.FormattedValue": "VARCHAR",
            "casetypecode@OData.Community.Display.V1.FormattedValue": "VARCHAR",
            "statuscode@OData.Community.Display.V1.FormattedValue": "VARCHAR",
            "customersatisfactioncode": "VARCHAR", "_customerid_value": "VARCHAR",
            "_primarycontactid_value": "VARCHAR", "_ownerid_value": "VARCHAR",
            "_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname": "VARCHAR", "createdon": "VARCHAR",
            "modifiedon": "VARCHAR", "id": "VARCHAR", "reason": "VARCHAR"
        }') as incident,
    from records
),

final as (
    select
        row_number,
        record,
        coalesce(incident.incidentid, incident.id) as conversation_id,
        channel_of(incident."caseorigincode@OData.Community.Display.V1.FormattedValue") as channel,
        case
            when incident.reason is null
                then
                    status_of(
                        incident."statuscode@OData.Community.Display.V1.FormattedValue",
                        incident.statecode in ('1', '2')
                    )
        end as status,
        incident."casetypecode@OData.Community.Display.V1.FormattedValue" as category,
        incident.title as subject,
        coalesce(incident."_primarycontactid_value", incident."_customerid_value") as customer_id,
        -- a team owns what nobody has taken
        case
            when incident."_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname" is distinct from 'team'
                then incident."_ownerid_value"
        end as agent,
        incident.createdon as opened_at,
        case when incident.statecode in ('1', '2') then incident.modifiedon end as closed_at,
        case when incident.customersatisfactioncode is not null then 'csat' end as survey_kind,
        incident.customersatisfactioncode as survey_score,
        case when incident.customersatisfactioncode is not null then incident.modifiedon end as survey_at,
        case when incident.reason is null then incident.modifiedon else $landed_at end as updated_at,
        case when incident.reason is not null then 'true' end as is_deleted,
    from parsed
)

select * from final
