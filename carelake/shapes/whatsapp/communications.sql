-- What WhatsApp pushed -> communications: messages, what became of ours, and calls.
--
-- The same id comes several times, in any order: an edit, a withdrawal, or what became of a message of ours. Its newest
-- version counts, by the time WhatsApp gives it. Of one of ours the first word, that it was sent, tells when we answered:
-- so that it was delivered and read later are older versions of it.
with

changes as (
    select
        records.row_number as line,
        unnest(json_extract(record, '$.body.entry[*].changes[*].value')) as value,
        generate_subscripts(json_extract(record, '$.body.entry[*].changes[*].value'), 1) as change_place,
    from records
),

items as (
    select line, change_place, 1 as kind, value,
        unnest(json_extract(value, '$.messages[*]')) as item,
        generate_subscripts(json_extract(value, '$.messages[*]'), 1) as place
    from changes
    union all
    select line, change_place, 2, value,
        unnest(json_extract(value, '$.message_echoes[*]')),
        generate_subscripts(json_extract(value, '$.message_echoes[*]'), 1)
    from changes
    union all
    select line, change_place, 3, value,
        unnest(json_extract(value, '$.statuses[*]')),
        generate_subscripts(json_extract(value, '$.statuses[*]'), 1)
    from changes
    union all
    select line, change_place, 4, value,
        unnest(json_extract(value, '$.calls[*]')),
        generate_subscripts(json_extract(value, '$.calls[*]'), 1)
    from changes
),

read as (
    select
        line,
        change_place,
        kind,
        place,
        item,
        json_extract_string(item, '$.type') as type,
        coalesce(json_extract(item, '$.edit.message'), item) as content,
        json_extract_string(item, '$.timestamp') as timestamp,
        case
            when kind = 1 then json_extract_string(item, '$.from')
            when kind = 2 then json_extract_string(item, '$.to')
            when kind = 3 then json_extract_string(item, '$.recipient_id')
            when json_extract_string(item, '$.direction') = 'BUSINESS_INITIATED' then json_extract_string(item, '$.to')
            else json_extract_string(item, '$.from')
        end as other_number,
        list_filter(
            json_extract(value, '$.contacts[*]'),
            lambda contact: json_extract_string(contact, '$.wa_id') = other_number or len(json_extract(value, '$.contacts[*]')) = 1
        )[1] as contact,
        json_extract_string(item, '$.status') as status,
    from items
),

known as (
    select
        *,
        json_extract_string(content, '$.type') as content_type,
        coalesce(
            json_extract(content, '$.image'), json_extract(content, '$.video'), json_extract(content, '$.audio'), json_extract(content, '$.document'), json_extract(content, '$.sticker')
        ) as media,
        kind = 3 as is_status,
        kind = 4 as is_call,
        kind = 4 and status = 'COMPLETED' and coalesce((json_extract_string(item, '$.duration'))::double, 0) > 0 as is_talk,
    from read
    -- how a call of ours rang is told again by its end
    where not (kind = 3 and coalesce(type, '') = 'call')
),

final as (
    select
        row_number() over (order by line, change_place, kind, place) as row_number,
        json_merge_patch(
            item,
            json_object(
                'type', coalesce(content_type, case when is_call then 'call' end),
                'media_id', json_extract_string(media, '$.id'), 'mime_type', json_extract_string(media, '$.mime_type'),
                -- addresses of media hold a key
                'image', null, 'video', null, 'audio', null, 'document', null, 'sticker', null, 'text', null, 'edit', null
            )
        ) as record,
        coalesce(json_extract_string(item, '$.edit.original_message_id'), json_extract_string(item, '$.revoke.original_message_id'), json_extract_string(item, '$.id'))
            as communication_id,
        case when is_call then 'phone' else 'chat' end as channel,
        case
            when kind = 1 then 'inbound'
            when kind = 4 and json_extract_string(item, '$.direction') = 'USER_INITIATED' then 'inbound'
            else 'outbound'
        end as direction,
        case when other_number <> '' then '+' || ltrim(other_number, '+') end as phone,
        json_extract_string(contact, '$.profile.name') as customer_name,
        coalesce(json_extract_string(item, '$.start_time'), timestamp) as sent_at,
        nullif(coalesce(
            json_extract_string(content, '$.text.body'), json_extract_string(media, '$.caption'), json_extract_string(media, '$.filename'), json_extract_string(content, '$.button.text'),
            json_extract_string(content, '$.interactive.button_reply.title'), json_extract_string(content, '$.interactive.list_reply.title'),
            json_extract_string(content, '$.reaction.emoji'), json_extract_string(content, '$.order.text'),
            concat_ws(', ', json_extract_string(content, '$.location.name'), json_extract_string(content, '$.location.address'))
        ), '') as body,
        case
            when is_call and is_talk then 'answered'
            when is_call then 'missed'
        end as status,
        case when is_call then coalesce(json_extract_string(item, '$.duration'), '0') end as duration_seconds,
        case
            when not is_status or status = 'failed' then timestamp
            when status = 'sent' then '0000000003'
            when status = 'delivered' then '0000000002'
            else '0000000001'
        end as updated_at,
        -- withdrawn, or never delivered
        case when type = 'revoke' or (is_status and status = 'failed') then 'true' end as is_deleted,
    from known
)

select * from final
