-- A conversation with its parts -> communications: what began it, and each part that was said aloud. Notes
-- and assignments are for colleagues only. A conversation makes several rows, so they are counted anew.
with

parsed as (
    select
        row_number as conversation_number,
        json_extract_string(record, '$.id') as conversation_id,
        json_extract_string(record, '$.source.type') as source_type,
        json_extract_string(record, '$.created_at') as began_at,
        json_extract_string(record, '$.contacts.contacts[0].id') as contact_id,
        -- what began it has no time of its own, and an id among others
        list_concat(
            [json_merge_patch(
                coalesce(case when json_type(record, '$.source') = 'OBJECT' then record -> '$.source' end, '{}'),
                '{"part_type": "source"}'
            )],
            case
                when json_type(record, '$.conversation_parts.conversation_parts') = 'ARRAY'
                    then json_extract(record, '$.conversation_parts.conversation_parts[*]')
                else []
            end
        ) as parts,
    from records
),

parts as (
    select * exclude (parts), unnest(parts) as record, generate_subscripts(parts, 1) as position,
    from parsed
),

taken as (
    select
        *,
        from_json(record, '{
            "id": "VARCHAR", "part_type": "VARCHAR", "body": "VARCHAR", "subject": "VARCHAR", "redacted": "VARCHAR",
            "author": {"type": "VARCHAR", "id": "VARCHAR", "name": "VARCHAR", "email": "VARCHAR"},
            "created_at": "VARCHAR", "updated_at": "VARCHAR"
        }') as part,
        row_number() over (order by conversation_number, position) as place,
    from parts
),

told as (
    select *, coalesce(part.author.type in ('admin', 'bot', 'team'), false) as is_ours,
    from taken
    where
        part.part_type in ('source', 'comment', 'open', 'close', 'quick_reply')
        and (part.body is not null or part.redacted = 'true' or part.part_type = 'source')
),

final as (
    select
        place as row_number,
        json_merge_patch(record, '{"body": null}') as record,
        $system || case when part.part_type = 'source' then ':source:' else ':' end || part.id as communication_id,
        $system || ':' || conversation_id as conversation_id,
        case when source_type = 'conversation' then 'chat' else channel_of(source_type) end as channel,
        case when is_ours then 'outbound' else 'inbound' end as direction,
        case when is_ours then contact_id else coalesce(part.author.id, contact_id) end as customer_id,
        case when not is_ours then part.author.email end as email,
        case when not is_ours then part.author.name end as customer_name,
        case when part.author.type = 'admin' then $system || ':' || part.author.id end as agent,
        coalesce(part.created_at, began_at) as sent_at,
        plain_text(part.subject) as subject,
        plain_text(part.body) as body,
        (part.author.type is not distinct from 'bot')::varchar as is_automatic,
        coalesce(part.updated_at, part.created_at, began_at) as updated_at,
        case when part.redacted = 'true' then 'true' end as is_deleted,
    from told
)

select * from final
