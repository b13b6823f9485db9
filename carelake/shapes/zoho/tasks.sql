-- Tasks -> communications: those whose subject says that somebody called, wrote or visited, once done.
-- A plain to-do is nothing that was said to a customer, and makes no row.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "Subject": "VARCHAR", "Status": "VARCHAR", "Closed_Time": "VARCHAR",
            "Who_Id": {"id": "VARCHAR"}, "What_Id": {"id": "VARCHAR"}, "$se_module": "VARCHAR",
            "Description": "VARCHAR", "Owner": {"id": "VARCHAR"}, "Modified_Time": "VARCHAR",
            "deleted_time": "VARCHAR"
        }') as task,
    from records
),

told as (
    select *, channel_of_task(task.Subject) as channel,
    from parsed
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"Description": null}') as record,
        task.id as communication_id,
        case when task."$se_module" = 'Cases' then task.What_Id.id end as conversation_id,
        channel,
        'outbound' as direction,
        coalesce(task.Who_Id.id, case when task."$se_module" = 'Accounts' then task.What_Id.id end) as customer_id,
        task.Owner.id as agent,
        coalesce(task.Closed_Time, task.Modified_Time) as sent_at,
        task.Subject as subject,
        task.Description as body,
        coalesce(task.deleted_time, task.Modified_Time) as updated_at,
        case when task.deleted_time is not null or lower(task.Status) <> 'completed' then 'true' end as is_deleted,
    from told
    where channel is not null or task.deleted_time is not null or task.id is null
)

select * from final
