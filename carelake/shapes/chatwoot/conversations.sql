-- Conversations -> conversations. Ids are small numbers: the block's name stands before them.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "status": "VARCHAR", "created_at": "VARCHAR", "updated_at": "VARCHAR", "last_activity_at": "VARCHAR",
            "first_reply_created_at": "VARCHAR", "additional_attributes": {"mail_subject": "VARCHAR"},
            "meta": {"channel": "VARCHAR", "sender": {"id": "VARCHAR"}, "assignee": {"id": "VARCHAR"}}
        }') as conversation,
    from records
),

final as (
    select
        row_number,
        -- the messages come by themselves
        json_merge_patch(record, '{"messages": null, "last_non_activity_message": null, "meta": null}') as record,
        $system || ':' || conversation.id as conversation_id,
        case
            when conversation.meta.channel in ('Channel::WebWidget', 'Channel::Api') then 'chat'
            else channel_of(replace(conversation.meta.channel, 'Channel::', ''))
        end as channel,
        case
            when conversation.status = 'snoozed' then 'on hold'
            else status_of(conversation.status, conversation.status = 'resolved')
        end as status,
        conversation.additional_attributes.mail_subject as subject,
        $system || ':' || conversation.meta.sender.id as customer_id,
        $system || ':' || conversation.meta.assignee.id as agent,
        conversation.created_at as opened_at,
        nullif(conversation.first_reply_created_at, '0') as first_reply_at,
        case when conversation.status = 'resolved' then conversation.last_activity_at end as closed_at,
        coalesce(conversation.updated_at, conversation.last_activity_at) as updated_at,
    from parsed
)

select * from final
