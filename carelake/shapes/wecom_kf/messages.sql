-- What was written, and taken back, through WeCom's customer service -> communications.
--
-- origin: 3 is the customer, 5 one of the staff, 4 the system, which tells of events. What a program of ours sent does
-- not come back from WeCom.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "msgid": "VARCHAR", "open_kfid": "VARCHAR", "external_userid": "VARCHAR", "send_time": "VARCHAR", "origin": "VARCHAR",
            "servicer_userid": "VARCHAR", "msgtype": "VARCHAR",
            "text": {"content": "VARCHAR"}, "link": {"title": "VARCHAR", "url": "VARCHAR"},
            "location": {"name": "VARCHAR", "address": "VARCHAR"}, "miniprogram": {"title": "VARCHAR"},
            "channels_shop_product": {"title": "VARCHAR"}, "msgmenu": {"head_content": "VARCHAR"},
            "event": {"event_type": "VARCHAR", "external_userid": "VARCHAR", "recall_msgid": "VARCHAR", "servicer_userid": "VARCHAR"}
        }') as message,
    from records
),

told as (
    select
        *,
        message.event.event_type in ('user_recall_msg', 'servicer_recall_msg') as is_recall,
        coalesce(message.origin = '3', message.event.event_type = 'user_recall_msg', false) as is_inbound,
    from parsed
    where message.msgtype is distinct from 'event' or message.event.event_type in ('user_recall_msg', 'servicer_recall_msg')
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"text": null, "link": null, "location": null, "msgmenu": null, "event": null}') as record,
        case when is_recall then message.event.recall_msgid else message.msgid end as communication_id,
        'chat' as channel,
        case when is_inbound then 'inbound' else 'outbound' end as direction,
        coalesce(message.external_userid, message.event.external_userid) as handle,
        coalesce(message.servicer_userid, message.event.servicer_userid) as agent,
        message.send_time as sent_at,
        nullif(coalesce(
            message.text.content, message.link.title, message.miniprogram.title, message.channels_shop_product.title,
            message.msgmenu.head_content, concat_ws(', ', message.location.name, message.location.address)
        ), '') as body,
        coalesce(message.send_time, epoch(($landed_at)::timestamptz)::bigint::varchar) as updated_at,
        case when is_recall then 'true' end as is_deleted,
    from told
)

select * from final
