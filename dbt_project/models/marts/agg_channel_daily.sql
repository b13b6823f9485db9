{{ config(materialized='view') }}

with

final as (
    select
        day,
        channel,
        n_communications,
        n_inbound,
        n_outbound,
        n_sentiment_scored,
        n_sentiment_negative,
        n_sentiment_positive,
        negative_share,
        n_conversations_opened,
        n_conversations_closed,
        n_survey_responses,
        satisfaction_sum,
        median_first_reply_minutes,
        n_customers,
    from {{ ref('part_channel_days') }}
)

select * from final
