with recursive

messages as (
    select
        source_name,
        message_id,
        conversation_id,
        coalesce(first_reference, in_reply_to) as parent_id,
    from {{ ref('int_messages') }}
),

replies as (
    select source_name, message_id, parent_id,
    from messages
    where conversation_id is null and parent_id is not null and parent_id <> message_id
),

-- Each reply climbs to the message it answers, until that one answers nothing. A ring of replies
-- (a broken export) ends after 500 steps.
climbs (source_name, message_id, root_id, steps) using key (source_name, message_id) as (
    select source_name, message_id, parent_id, 1 from replies
    union
    select climbs.source_name, climbs.message_id, replies.parent_id, climbs.steps + 1
    from climbs
    inner join replies
        on climbs.source_name = replies.source_name and climbs.root_id = replies.message_id
    where climbs.steps < 500
),

final as (
    select
        climbs.source_name,
        climbs.message_id,
        coalesce(roots.conversation_id, 'thread:' || climbs.root_id) as conversation_id,
    from climbs
    left join messages as roots
        on climbs.source_name = roots.source_name and climbs.root_id = roots.message_id
)

select * from final
