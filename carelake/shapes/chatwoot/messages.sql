-- Messages -> communications. Notes among agents and lines about what happened are for colleagues only.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "conversation_id": "VARCHAR", "content": "VARCHAR", "message_type": "VARCHAR",
            "private": "VARCHAR", "created_at": "VARCHAR", "updated_at": "VARCHAR", "sender_type": "VARCHAR", "sender_id": "VARCHAR",
            "sender": {"id": "VARCHAR", "type": "VARCHAR", "name": "VARCHAR", "email": "VARCHAR", "phone_number": "VARCHAR"},
            "content_attributes": {"deleted": "VARCHAR", "in_reply_to": "VARCHAR", "email": {"subject": "VARCHAR"}}
        }') as message,
        json_extract_string(record, '$.attachments[0].fallback_title') as attached,
    from records
),

told as (
    select
        *,
        message.message_type is not distinct from '0' as is_inbound,
        lower(coalesce(message.sender.type, message.sender_type)) as writer,
        coalesce(message.sender.id, message.sender_id) as writer_id,
    from parsed
    -- 2 tells what happened: that somebody was assigned, or closed it
    where message.message_type is distinct from '2' and coalesce(message.private, 'false') <> 'true'
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"content": null, "processed_message_content": null, "conversation": null}') as record,
        $system || ':' || message.id as communication_id,
        $system || ':' || message.conversation_id as conversation_id,
        $system || ':' || message.content_attributes.in_reply_to as in_reply_to,
        case when is_inbound then 'inbound' else 'outbound' end as direction,
        case when is_inbound then $system || ':' || writer_id end as customer_id,
        case when is_inbound then message.sender.email end as email,
        case when is_inbound then message.sender.phone_number end as phone,
        case when is_inbound then message.sender.name end as customer_name,
        case when not is_inbound and writer = 'user' then $system || ':' || writer_id end as agent,
        message.created_at as sent_at,
        message.content_attributes.email.subject as subject,
        plain_text(coalesce(message.content, attached)) as body,
        -- greetings, surveys and rules have no sender; a bot is no agent
        (not is_inbound and writer is distinct from 'user')::varchar as is_automatic,
        coalesce(message.updated_at, message.created_at) as updated_at,
        case when message.content_attributes.deleted = 'true' then 'true' end as is_deleted,
    from told
)

select * from final
