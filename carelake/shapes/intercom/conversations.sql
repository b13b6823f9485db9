-- Conversations -> conversations. Ids are small numbers: the block's name stands before them.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "title": "VARCHAR", "state": "VARCHAR", "source": {"type": "VARCHAR", "subject": "VARCHAR"},
            "admin_assignee_id": "VARCHAR", "statistics": {"last_close_at": "VARCHAR"},
            "conversation_rating": {"rating": "VARCHAR", "remark": "VARCHAR", "created_at": "VARCHAR"},
            "created_at": "VARCHAR", "updated_at": "VARCHAR"
        }') as conversation,
        json_extract_string(record, '$.contacts.contacts[0].id') as contact_id,
    from records
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"source": {"body": null}}') as record,
        $system || ':' || conversation.id as conversation_id,
        case
            when conversation.source.type = 'conversation' then 'chat' else channel_of(conversation.source.type)
        end as channel,
        case
            when conversation.state = 'snoozed' then 'on hold'
            else status_of(conversation.state, conversation.state = 'closed')
        end as status,
        coalesce(conversation.title, nullif(plain_text(conversation.source.subject), '')) as subject,
        contact_id as customer_id,
        -- nobody is 0
        case
            when conversation.admin_assignee_id <> '0' then $system || ':' || conversation.admin_assignee_id
        end as agent,
        conversation.created_at as opened_at,
        case
            when conversation.state = 'closed'
                then coalesce(conversation.statistics.last_close_at, conversation.updated_at)
        end as closed_at,
        case when conversation.conversation_rating.rating is not null then 'csat' end as survey_kind,
        conversation.conversation_rating.rating as survey_score,
        conversation.conversation_rating.remark as survey_remark,
        conversation.conversation_rating.created_at as survey_at,
        conversation.updated_at as updated_at,
    from parsed
)

select * from final
