-- Comments of ticket events -> communications. An event may hold several or none, so rows are counted
-- anew. A private note is no message to or from a customer, and makes no row; a message that was made
-- private is gone. Who wrote it is told from our agents by the writer's id.
with

parsed as (
    select
        row_number,
        json_extract_string(record, '$.ticket_id') as ticket_id,
        json_extract_string(record, '$.timestamp') as happened_at,
        coalesce(json_extract_string(record, '$.via.channel'), json_extract_string(record, '$.via')) as event_via,
        case
            when json_type(record, '$.child_events') = 'ARRAY' then json_extract(record, '$.child_events[*]')
            -- without them nothing can be said: staging will reject it
            else ['{"event_type": "Comment", "public": "true"}'::json]
        end as children,
    from records
),

children as (
    select * exclude (children), unnest(children) as record, generate_subscripts(children, 1) as position,
    from parsed
),

taken as (
    select
        *,
        from_json(record, '{
            "id": "VARCHAR", "event_type": "VARCHAR", "type": "VARCHAR", "comment_id": "VARCHAR", "body": "VARCHAR",
            "html_body": "VARCHAR", "public": "VARCHAR", "author_id": "VARCHAR", "created_at": "VARCHAR",
            "via": {"channel": "VARCHAR"}
        }') as child,
    from children
),

told as (
    select
        *,
        coalesce(child.event_type, child.type) as kind,
        -- Zendesk itself writes as -1
        coalesce(child.author_id = '-1', false) as is_automatic,
        row_number() over (order by row_number, position) as place,
    from taken
),

final as (
    select
        place as row_number,
        json_merge_patch(record, '{"body": null, "html_body": null, "plain_body": null}') as record,
        $system || ':' || case when kind = 'Comment' then child.id else child.comment_id end as communication_id,
        $system || ':' || ticket_id as conversation_id,
        channel_of(coalesce(child.via.channel, event_via)) as channel,
        case when is_automatic then 'outbound' end as direction,
        case when not is_automatic then $system || ':' || child.author_id end as customer_id,
        case when not is_automatic then $system || ':' || child.author_id end as from_address,
        coalesce(child.created_at, happened_at) as sent_at,
        coalesce(child.body, plain_text(child.html_body)) as body,
        is_automatic::varchar as is_automatic,
        happened_at as updated_at,
        case when kind = 'CommentPrivacyChange' then 'true' end as is_deleted,
    from told
    where
        (kind = 'Comment' and child.public is distinct from 'false')
        or (kind = 'CommentPrivacyChange' and child.public = 'false')
)

select * from final
