-- Cases -> conversations. Zoho keeps no time of the close: it is when a closed case was last changed.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "Subject": "VARCHAR", "Status": "VARCHAR", "Case_Origin": "VARCHAR",
            "Case_Reason": "VARCHAR", "Type": "VARCHAR", "Related_To": {"id": "VARCHAR"},
            "Account_Name": {"id": "VARCHAR"}, "Reported_By": "VARCHAR", "Email": "VARCHAR", "Phone": "VARCHAR",
            "Owner": {"id": "VARCHAR"}, "Created_Time": "VARCHAR", "Modified_Time": "VARCHAR",
            "deleted_time": "VARCHAR"
        }') as service_case,
    from records
),

final as (
    select
        row_number,
        record,
        service_case.id as conversation_id,
        channel_of(service_case.Case_Origin) as channel,
        status_of(service_case.Status, lower(service_case.Status) = 'closed') as status,
        coalesce(service_case.Type, service_case.Case_Reason) as category,
        service_case.Subject as subject,
        coalesce(service_case.Related_To.id, service_case.Account_Name.id) as customer_id,
        service_case.Reported_By as customer_name,
        service_case.Email as email,
        service_case.Phone as phone,
        service_case.Owner.id as agent,
        service_case.Created_Time as opened_at,
        case when lower(service_case.Status) = 'closed' then service_case.Modified_Time end as closed_at,
        coalesce(service_case.deleted_time, service_case.Modified_Time) as updated_at,
        case when service_case.deleted_time is not null then 'true' end as is_deleted,
    from parsed
)

select * from final
