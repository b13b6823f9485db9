-- One row per conversation of a known customer, and one per customer without any: everything a
-- rule may look at, as of the moment the plan is made for.
create or replace temporary table followup_candidates as
with as_of as (
    select $as_of::timestamptz as moment
),

surveys as (
    select
        conversation_key,
        kind,
        score,
        comment_masked,
    from marts.fct_survey_responses
    where conversation_key is not null
    qualify row_number() over (
        partition by conversation_key
        order by responded_at desc nulls last, survey_response_key
    ) = 1
),

orders as (
    select
        customer_key,
        max(ordered_at) as last_order_at,
    from marts.fct_orders
    where customer_key is not null and not coalesce(is_cancelled, false)
    group by customer_key
),

-- what lowers the chance, strongest first, as the model says it
lowering as (
    select
        *,
        list_filter(
            from_json(reasons::json, '[{"words": "VARCHAR", "words_zh": "VARCHAR", "effect": "DOUBLE"}]'),
            lambda reason: reason.effect < 0
        )[:2] as against,
    from marts.satisfaction_predictions
),

predictions as (
    select
        conversation_key,
        p_satisfied,
        model_name,
        model_version,
        list_transform(against, lambda reason: reason.words) as lowering,
        list_transform(against, lambda reason: coalesce(reason.words_zh, reason.words)) as lowering_zh,
    from lowering
),

conversations as (
    select
        *,
        row_number() over (
            partition by customer_key
            order by coalesce(closed_at, opened_at) desc nulls last, conversation_key
        ) as recency,
    from marts.fct_conversations
    where customer_key is not null
),

final as (
    select
        customers.customer_key,
        conversations.conversation_key,
        coalesce(conversations.recency, 1)::bigint as conversation_recency,
        conversations.channel,
        conversations.category,
        conversations.language,
        case
            when $language <> 'conversation' then $language
            when conversations.language = 'zh' then 'zh'
            else 'en'
        end as reason_language,
        conversations.status,
        conversations.outcome_state,
        conversations.opened_at::timestamptz as opened_at,
        conversations.first_reply_at::timestamptz as first_reply_at,
        conversations.closed_at::timestamptz as closed_at,
        conversations.n_inbound::bigint as n_inbound,
        conversations.n_outbound::bigint as n_outbound,
        conversations.first_reply_minutes::decimal(18, 3) as first_reply_minutes,
        conversations.resolution_minutes::decimal(18, 3) as resolution_minutes,
        conversations.handle_seconds::decimal(18, 3) as handle_seconds,
        conversations.is_reopened,
        case
            when conversations.status = 'open' and conversations.first_reply_at is null
                then date_diff('minute', conversations.opened_at, as_of.moment)
        end::decimal(18, 3) as waiting_minutes,
        (date_diff('minute', conversations.opened_at, as_of.moment) // 1440)::integer
            as days_since_opened,
        (date_diff(
            'minute',
            coalesce(conversations.closed_at, conversations.first_reply_at, conversations.opened_at),
            as_of.moment
        ) // 1440)::integer as days_since_contact,
        conversations.satisfaction::decimal(9, 6) as satisfaction,
        surveys.kind as survey_kind,
        surveys.score::decimal(9, 2) as survey_score,
        left(regexp_replace(trim(surveys.comment_masked), '\s+', ' ', 'g'), 120) as survey_comment,
        predictions.p_satisfied::decimal(9, 6) as p_satisfied,
        case reason_language
            when 'zh' then nullif(array_to_string(predictions.lowering_zh, '；'), '')
            else nullif(array_to_string(predictions.lowering, '; '), '')
        end as model_reasons,
        predictions.model_name,
        predictions.model_version::integer as model_version,
        agents.agent_name,
        agents.team,
        owners.agent_name as owner_agent_name,
        customers.segment_name,
        customers.age::integer as age,
        customers.gender,
        customers.city,
        customers.country,
        customers.preferred_channel,
        customers.n_conversations::bigint as n_conversations,
        customers.n_orders::bigint as n_orders,
        customers.order_value::decimal(18, 2) as order_value,
        customers.last_contact_at::timestamptz as last_contact_at,
        orders.last_order_at::timestamptz as last_order_at,
        (date_diff('minute', orders.last_order_at, as_of.moment) // 1440)::integer
            as days_since_last_order,
        (date_diff('minute', customers.first_seen_at, as_of.moment) // 1440)::integer
            as days_since_first_seen,
        coalesce(customers.do_not_contact, false) as do_not_contact,
    from marts.dim_customers as customers
    cross join as_of
    left join conversations on customers.customer_key = conversations.customer_key
    left join surveys on conversations.conversation_key = surveys.conversation_key
    left join predictions
        on conversations.conversation_key = predictions.conversation_key
    left join marts.dim_agents as agents on conversations.agent_key = agents.agent_key
    left join marts.dim_agents as owners on customers.owner_agent_key = owners.agent_key
    left join orders on customers.customer_key = orders.customer_key
    where coalesce(conversations.opened_at <= as_of.moment, true)
)

select * from final
