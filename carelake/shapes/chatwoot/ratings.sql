-- CSAT survey responses -> survey responses, of 1 to 5.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "rating": "VARCHAR", "feedback_message": "VARCHAR", "conversation_id": "VARCHAR",
            "contact": {"id": "VARCHAR"}, "created_at": "VARCHAR"
        }') as response,
    from records
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"feedback_message": null, "contact": null}') as record,
        $system || ':' || response.id as survey_id,
        'csat' as survey_kind,
        response.rating as survey_score,
        nullif(response.feedback_message, '') as survey_remark,
        $system || ':' || response.conversation_id as conversation_id,
        $system || ':' || response.contact.id as customer_id,
        response.created_at as responded_at,
        response.created_at as updated_at,
    from parsed
)

select * from final
