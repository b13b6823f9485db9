-- Messages of the page's inbox -> communications. A person has one conversation with a page: its id is theirs.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "message": "VARCHAR", "created_time": "VARCHAR", "from": {"id": "VARCHAR", "name": "VARCHAR"}
        }') as message,
        json_extract_string(record, '$.to.data[0].id') as to_id,
        json_extract_string(record, '$.to.data[0].name') as to_name,
        json_extract_string(record, '$.attachments.data[0].name') as attached,
    from records
),

told as (
    select
        *,
        coalesce(message."from".id = $page, false) as is_ours,
        case when message."from".id = $page then to_id else message."from".id end as person_id,
        case when message."from".id = $page then to_name else message."from".name end as person_name,
    from parsed
),

final as (
    select
        row_number,
        -- addresses of pictures hold a key
        json_merge_patch(record, '{"message": null, "from": null, "to": null, "attachments": null, "sticker": null}') as record,
        message.id as communication_id,
        'inbox:' || person_id as conversation_id,
        'social' as channel,
        case when is_ours then 'outbound' else 'inbound' end as direction,
        person_id as customer_id,
        person_name as customer_name,
        message.created_time as sent_at,
        coalesce(nullif(message.message, ''), attached) as body,
        message.created_time as updated_at,
    from told
)

select * from final
