-- Tickets -> conversations. Ids of Zendesk are small numbers: the block's name stands before them.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "subject": "VARCHAR", "type": "VARCHAR", "status": "VARCHAR",
            "requester_id": "VARCHAR", "assignee_id": "VARCHAR", "via": {"channel": "VARCHAR"},
            "metric_set": {"solved_at": "VARCHAR"}, "created_at": "VARCHAR", "updated_at": "VARCHAR"
        }') as ticket,
    from records
),

judged as (
    select *, ticket.status in ('solved', 'closed') as is_closed,
    from parsed
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"description": null, "raw_subject": null}') as record,
        $system || ':' || ticket.id as conversation_id,
        channel_of(ticket.via.channel) as channel,
        status_of(ticket.status, is_closed) as status,
        ticket.type as category,
        ticket.subject as subject,
        $system || ':' || ticket.requester_id as customer_id,
        $system || ':' || ticket.assignee_id as agent,
        ticket.created_at as opened_at,
        case when is_closed then coalesce(ticket.metric_set.solved_at, ticket.updated_at) end as closed_at,
        ticket.updated_at as updated_at,
        case when ticket.status = 'deleted' then 'true' end as is_deleted,
    from judged
)

select * from final
