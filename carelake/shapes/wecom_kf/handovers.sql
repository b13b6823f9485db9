-- Changes of a session's state -> events: taken from the queue, handed on, closed, opened again.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "msgid": "VARCHAR", "send_time": "VARCHAR", "msgtype": "VARCHAR", "external_userid": "VARCHAR",
            "event": {"event_type": "VARCHAR", "external_userid": "VARCHAR", "change_type": "VARCHAR"}
        }') as message,
    from records
),

told as (
    select * from parsed
    where message.msgtype = 'event' and message.event.event_type = 'session_status_change'
),

final as (
    select
        row_number,
        record,
        message.msgid as event_id,
        case message.event.change_type
            when '1' then 'assigned'
            when '2' then 'handed_over'
            when '3' then 'closed'
            when '4' then 'reopened'
        end as event_name,
        coalesce(message.event.external_userid, message.external_userid) as handle,
        message.send_time as occurred_at,
        message.send_time as updated_at,
    from told
)

select * from final
