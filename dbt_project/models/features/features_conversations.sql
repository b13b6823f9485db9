{{ config(materialized='view') }}

with

final as (
    select
        conversation_key,
        customer_key,
        occurred_at,
        opened_at,
        channel,
        category,
        language,
        hour_of_day,
        day_of_week,
        n_inbound,
        n_outbound,
        first_reply_minutes,
        resolution_minutes,
        handle_seconds,
        is_reopened,
        n_prior_conversations,
        prior_satisfaction,
        n_prior_orders,
        prior_order_value,
        customer_age,
        customer_gender,
        team,
        agent_name,
        text,
        comment,
        attributes,
        label_satisfied,
        label_at,
    from {{ ref('int_conversation_features') }}
)

select * from final
