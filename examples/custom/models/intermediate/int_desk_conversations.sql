{{ config(materialized='view') }}
select
    conversations.conversation_key,
    coalesce(desks.desk, 'General') as desk,
    conversations.opened_at,
    conversations.first_reply_minutes,
from {{ ref('int_conversations') }} as conversations
left join {{ ref('stg_desks') }} as desks on conversations.category = desks.topic
