-- Satisfaction ratings -> survey responses. What was only offered is no response.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "ticket_id": "VARCHAR", "requester_id": "VARCHAR", "score": "VARCHAR",
            "comment": "VARCHAR", "created_at": "VARCHAR", "updated_at": "VARCHAR"
        }') as rating,
    from records
),

final as (
    select
        row_number,
        record,
        $system || ':' || rating.id as survey_id,
        'csat' as survey_kind,
        -- good and bad are the ends of our scale; a number is one already
        case
            when starts_with(rating.score, 'good') then '5'
            when starts_with(rating.score, 'bad') then '1'
            else rating.score
        end as survey_score,
        rating.comment as survey_remark,
        $system || ':' || rating.ticket_id as conversation_id,
        $system || ':' || rating.requester_id as customer_id,
        rating.created_at as responded_at,
        rating.updated_at as updated_at,
    from parsed
    where rating.score is null or rating.score not in ('offered', 'unoffered')
)

select * from final
