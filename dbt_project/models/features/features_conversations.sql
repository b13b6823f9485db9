with

conversations as (
    select * from {{ ref('int_conversations') }}
),

survey_days as (
    select customer_key, responded_at, sum(satisfaction) as satisfaction, count(*) as n_surveys,
    from {{ ref('int_survey_responses') }}
    where customer_key is not null and responded_at is not null and satisfaction is not null
    group by customer_key, responded_at
),

surveys_so_far as (
    select
        customer_key,
        responded_at,
        sum(satisfaction) over so_far as satisfaction,
        sum(n_surveys) over so_far as n_surveys,
    from survey_days
    window so_far as (partition by customer_key order by responded_at)
),

comments as (
    select
        conversation_key,
        string_agg({{ mask_text('comment') }}, chr(10) order by responded_at, survey_response_key) as comment,
    from {{ ref('int_survey_responses') }}
    where conversation_key is not null and comment is not null
    group by conversation_key
),

order_days as (
    select customer_key, ordered_at, sum(amount) as amount, count(*) as n_orders,
    from {{ ref('int_orders') }}
    where customer_key is not null and ordered_at is not null and not is_cancelled
    group by customer_key, ordered_at
),

orders_so_far as (
    select
        customer_key,
        ordered_at,
        sum(amount) over so_far as amount,
        sum(n_orders) over so_far as n_orders,
    from order_days
    window so_far as (partition by customer_key order by ordered_at)
),

opening_days as (
    select customer_key, opened_at, count(*) as n_opened,
    from conversations
    where customer_key is not null and opened_at is not null
    group by customer_key, opened_at
),

openings_so_far as (
    select
        customer_key,
        opened_at,
        sum(n_opened) over (partition by customer_key order by opened_at) - n_opened as n_prior,
    from opening_days
),

agents as (
    select agent_key, min(agent_name) as agent_name, min(team) as team,
    from {{ ref('int_agent_aliases') }}
    group by agent_key
),

-- Only keys and a moment: an as-of join sorts all that it is given.
moments as (
    select conversation_key, customer_key, occurred_at,
    from conversations
    where customer_key is not null
),

histories as (
    select
        moments.conversation_key,
        surveys_so_far.satisfaction,
        surveys_so_far.n_surveys,
        orders_so_far.amount,
        orders_so_far.n_orders,
    from moments
    asof left join surveys_so_far
        on
            moments.customer_key = surveys_so_far.customer_key
            and moments.occurred_at > surveys_so_far.responded_at
    asof left join orders_so_far
        on
            moments.customer_key = orders_so_far.customer_key
            and moments.occurred_at > orders_so_far.ordered_at
),

final as (
    select
        conversations.conversation_key,
        conversations.customer_key,
        conversations.occurred_at,
        conversations.opened_at,
        conversations.channel,
        conversations.category,
        conversations.language,
        extract('hour' from conversations.opened_at at time zone settings.reporting_timezone)::integer as hour_of_day,
        extract('isodow' from conversations.opened_at at time zone settings.reporting_timezone)::integer as day_of_week,
        coalesce(messages.n_inbound, 0)::integer as n_inbound,
        coalesce(messages.n_outbound, 0)::integer as n_outbound,
        case
            when conversations.first_reply_at <= conversations.occurred_at then conversations.first_reply_minutes
        end as first_reply_minutes,
        conversations.resolution_minutes,
        conversations.handle_seconds,
        coalesce(conversations.reopened_at <= conversations.occurred_at, false) as is_reopened,
        coalesce(openings_so_far.n_prior, 0)::integer as n_prior_conversations,
        {{ share('histories.satisfaction', 'histories.n_surveys') }} as prior_satisfaction,
        coalesce(histories.n_orders, 0)::integer as n_prior_orders,
        coalesce(histories.amount, 0)::decimal(18, 2) as prior_order_value,
        customers.age as customer_age,
        customers.gender as customer_gender,
        agents.team,
        agents.agent_name,
        messages.text,
        comments.comment,
        conversations.attributes::varchar as attributes,
        surveys.satisfaction >= {{ var('satisfied_from') }} as label_satisfied,
        surveys.responded_at as label_at,
    from conversations
    cross join {{ ref('int_as_of') }} as settings
    left join {{ ref('int_conversation_texts') }} as messages
        on conversations.conversation_key = messages.conversation_key
    left join openings_so_far
        on
            conversations.customer_key = openings_so_far.customer_key
            and conversations.opened_at = openings_so_far.opened_at
    left join histories on conversations.conversation_key = histories.conversation_key
    left join {{ ref('int_customers') }} as customers on conversations.customer_key = customers.customer_key
    left join agents on conversations.agent_key = agents.agent_key
    left join {{ ref('int_conversation_surveys') }} as surveys
        on conversations.conversation_key = surveys.conversation_key
    left join comments on conversations.conversation_key = comments.conversation_key
)

select * from final
