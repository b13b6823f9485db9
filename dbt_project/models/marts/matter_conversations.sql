{{ config(materialized='view') }}

with

-- Most matters are one conversation.
final as (
    select
        coalesce(members.matter_key, conversations.conversation_key) as matter_key,
        conversations.conversation_key,
        coalesce(members.position, 1) as position,
        members.joined_to,
        members.evidence,
    from {{ ref('int_conversations') }} as conversations
    left join {{ ref('int_matter_members') }} as members using (conversation_key)
)

select * from final
