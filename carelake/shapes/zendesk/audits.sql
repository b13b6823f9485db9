-- Changes of a ticket's assignee -> events: hand-overs.
with

parsed as (
    select
        row_number,
        json_extract_string(record, '$.ticket_id') as ticket_id,
        json_extract_string(record, '$.timestamp') as happened_at,
        case
            when json_type(record, '$.child_events') = 'ARRAY' then json_extract(record, '$.child_events[*]')
            else ['{"event_type": "Change", "assignee_id": "?"}'::json]
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
            "id": "VARCHAR", "event_type": "VARCHAR", "assignee_id": "VARCHAR", "previous_value": "VARCHAR"
        }') as child,
        row_number() over (order by row_number, position) as place,
    from children
),

final as (
    select
        place as row_number,
        record,
        $system || ':' || child.id as event_id,
        case when child.previous_value is null then 'assigned' else 'handed_over' end as event_name,
        $system || ':' || ticket_id as conversation_id,
        happened_at as occurred_at,
        happened_at as updated_at,
    from taken
    where child.event_type in ('Change', 'Create') and child.assignee_id is not null
)

select * from final
