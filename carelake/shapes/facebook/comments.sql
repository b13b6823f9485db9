-- Comments and replies to them -> communications. A comment with all replies is one conversation.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "message": "VARCHAR", "created_time": "VARCHAR", "from": {"id": "VARCHAR", "name": "VARCHAR"},
            "parent": {"id": "VARCHAR"}, "object": {"id": "VARCHAR"}, "attachment": {"title": "VARCHAR"}
        }') as comment,
    from records
),

told as (
    select *, coalesce(comment."from".id = $page, false) as is_ours,
    from parsed
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"message": null, "from": null}') as record,
        comment.id as communication_id,
        coalesce(comment.parent.id, comment.id) as conversation_id,
        coalesce(comment.parent.id, comment.object.id) as in_reply_to,
        'social' as channel,
        case when is_ours then 'outbound' else 'inbound' end as direction,
        case when not is_ours then comment."from".id end as customer_id,
        case when not is_ours then comment."from".name end as customer_name,
        comment.created_time as sent_at,
        coalesce(nullif(comment.message, ''), comment.attachment.title) as body,
        comment.created_time as updated_at,
    from told
)

select * from final
