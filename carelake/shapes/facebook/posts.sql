-- What others wrote on the page -> communications. Posts of the page itself are news to everybody, not words to a customer.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "message": "VARCHAR", "created_time": "VARCHAR", "updated_time": "VARCHAR",
            "from": {"id": "VARCHAR", "name": "VARCHAR"}
        }') as post,
    from records
),

told as (
    select * from parsed
    where post."from".id is distinct from $page
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"message": null, "from": null}') as record,
        post.id as communication_id,
        post.id as conversation_id,
        'social' as channel,
        'inbound' as direction,
        post."from".id as customer_id,
        post."from".name as customer_name,
        post.created_time as sent_at,
        post.message as body,
        coalesce(post.updated_time, post.created_time) as updated_at,
    from told
)

select * from final
