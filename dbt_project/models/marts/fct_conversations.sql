{{ config(materialized='view') }}

with

final as (
    select
        conversations.conversation_key,
        conversations.customer_key,
        conversations.agent_key,
        conversations.source_name,
        conversations.channel,
        conversations.status,
        conversations.outcome_state,
        conversations.category,
        conversations.language,
        conversations.opened_at,
        conversations.first_reply_at,
        conversations.closed_at,
        conversations.n_inbound::integer as n_inbound,
        conversations.n_outbound::integer as n_outbound,
        conversations.first_reply_minutes,
        conversations.resolution_minutes,
        conversations.handle_seconds,
        conversations.is_reopened,
        surveys.satisfaction,
        conversations.attributes,
    from {{ ref('int_conversations') }} as conversations
    left join {{ ref('int_conversation_surveys') }} as surveys using (conversation_key)
)

select * from final
