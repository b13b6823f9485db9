-- Task -> communications: calls, mails and visits that were logged. A plain to-do is nothing that was
-- said to a customer, and makes no row.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "Id": "VARCHAR", "WhoId": "VARCHAR", "WhatId": "VARCHAR", "AccountId": "VARCHAR",
            "TaskSubtype": "VARCHAR", "Type": "VARCHAR", "CallType": "VARCHAR", "CallDurationInSeconds": "VARCHAR",
            "Subject": "VARCHAR", "Description": "VARCHAR", "Status": "VARCHAR", "OwnerId": "VARCHAR",
            "ActivityDate": "VARCHAR", "CompletedDateTime": "VARCHAR", "CreatedDate": "VARCHAR",
            "SystemModstamp": "VARCHAR", "IsClosed": "VARCHAR", "IsDeleted": "VARCHAR"
        }') as task,
    from records
),

told as (
    select *, channel_of(case when task.TaskSubtype = 'Task' then task.Type else task.TaskSubtype end) as channel,
    from parsed
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"Description": null}') as record,
        task.Id as communication_id,
        case when starts_with(task.WhatId, '500') then task.WhatId end as conversation_id,
        channel,
        case when lower(task.CallType) = 'inbound' then 'inbound' else 'outbound' end as direction,
        coalesce(task.WhoId, task.AccountId) as customer_id,
        -- a queue owns what nobody has taken
        case when not starts_with(task.OwnerId, '00G') then task.OwnerId end as agent,
        -- a call is completed when it is over: it began its duration before
        coalesce(
            case
                when channel = 'phone'
                    then
                        strftime(
                            (
                                try_cast(task.CompletedDateTime as timestamptz)
                                - to_seconds(try_cast(task.CallDurationInSeconds as integer))
                            ) at time zone 'UTC',
                            '%Y-%m-%dT%H:%M:%S.%gZ'
                        )
            end,
            task.CompletedDateTime,
            task.CreatedDate
        ) as sent_at,
        task.Subject as subject,
        task.Description as body,
        case when channel = 'phone' then task.CallDurationInSeconds end as duration_seconds,
        task.SystemModstamp as updated_at,
        -- what is only planned was not said yet; it comes again when it is done
        case when task.IsClosed = 'true' then task.IsDeleted else 'true' end as is_deleted,
    from told
    where channel is not null or task.Id is null
)

select * from final
