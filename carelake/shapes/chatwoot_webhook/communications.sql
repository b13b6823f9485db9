-- What Chatwoot pushed -> communications. Notes among agents are no messages to customers, and are left where they landed.
with

read as (
    select
        row_number as line,
        json_extract_string(record, '$.provider_time') as provider_time,
        json_extract(record, '$.body') as said,
        json_extract_string(record, '$.body.event') as event,
        lower(json_extract_string(record, '$.body.message_type')) as message_type,
        coalesce(
            json_extract(record, '$.body.conversation.meta.sender'), json_extract(record, '$.body.contact'),
            json_extract(record, '$.body.conversation.contact_inbox.contact')
        ) as contact,
        json_extract(record, '$.body.sender') as sender,
    from records
),

messages as (
    select
        *,
        message_type in ('incoming', '0') as is_inbound,
        case when message_type in ('incoming', '0') then coalesce(contact, sender) else contact end as customer,
        replace(json_extract_string(said, '$.created_at'), ' UTC', 'Z') as created_at,
    from read
    where
        event in ('message_created', 'message_updated')
        and message_type in ('incoming', 'outgoing', 'template', '0', '1', '3')
        and coalesce(json_extract_string(said, '$.private'), 'false') <> 'true'
),

final as (
    select
        row_number() over (order by line) as row_number,
        said as record,
        json_extract_string(said, '$.id') as communication_id,
        coalesce(json_extract_string(said, '$.conversation.id'), json_extract_string(said, '$.conversation.display_id')) as conversation_id,
        'chat' as channel,
        case when is_inbound then 'inbound' else 'outbound' end as direction,
        json_extract_string(customer, '$.email') as email,
        json_extract_string(customer, '$.phone_number') as phone,
        json_extract_string(customer, '$.identifier') as handle,
        json_extract_string(customer, '$.name') as customer_name,
        -- a bot is no agent
        case
            when not is_inbound and lower(coalesce(json_extract_string(sender, '$.type'), 'user')) = 'user'
                then coalesce(json_extract_string(sender, '$.email'), json_extract_string(sender, '$.name'))
        end as agent,
        created_at as sent_at,
        plain_text(json_extract_string(said, '$.content')) as body,
        coalesce(replace(json_extract_string(said, '$.updated_at'), ' UTC', 'Z'), provider_time, created_at) as updated_at,
        case when json_extract_string(said, '$.content_attributes.deleted') = 'true' then 'true' end as is_deleted,
    from messages
)

select * from final
