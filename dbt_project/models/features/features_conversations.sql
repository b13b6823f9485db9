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

-- An answer given before the customer took it up again is none about what was known at its end.
answers as (
    select surveys.conversation_key, surveys.satisfaction, surveys.responded_at,
    from {{ ref('int_conversation_surveys') }} as surveys
    inner join conversations on surveys.conversation_key = conversations.conversation_key
    where
        not coalesce(
            surveys.responded_at < conversations.reopened_at
            and conversations.reopened_at <= conversations.occurred_at, false
        )
),

agents as (
    select agent_key, min(agent_name) as agent_name,
    from {{ ref('int_agent_aliases') }}
    group by agent_key
),

{{ as_known('agents', 'teams', 'agent_key', row_key('agent', ["lower(versions.agent_id)"]), ['team']) }},

customer_rows as (
    select written.source_name, written.customer_id, identities.customer_key,
    from (
        select source_name, customer_id, {{ identity_key('null::varchar') }} as identity_key,
        from {{ ref('stg_customers') }}
    ) as written
    inner join {{ ref('int_identities') }} as identities using (identity_key)
    where identities.customer_key is not null
    group by all
),

{{ as_known(
    'customers', 'persons', 'customer_key', 'customer_rows.customer_key', ['age', 'gender'], 'customer_rows'
) }},

-- Only keys and a moment: an as-of join sorts all that it is given.
moments as (
    select conversation_key, customer_key, occurred_at,
    from conversations
    where customer_key is not null
),

-- Few people change, and only their conversations are asked about.
known_persons as (
    select moments.conversation_key, persons_changes.age, persons_changes.gender,
    from (select * from moments where customer_key in (select customer_key from persons_changes)) as moments
    asof inner join persons_changes
        on
            moments.customer_key = persons_changes.customer_key
            and moments.occurred_at >= persons_changes.known_at
),

known_teams as (
    select moments.conversation_key, teams_changes.team,
    from (
        select conversation_key, agent_key, occurred_at,
        from conversations
        where agent_key in (select agent_key from teams_changes)
    ) as moments
    asof inner join teams_changes
        on
            moments.agent_key = teams_changes.agent_key
            and moments.occurred_at >= teams_changes.known_at
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
        coalesce(known_persons.age, persons_firsts.age) as customer_age,
        coalesce(known_persons.gender, persons_firsts.gender) as customer_gender,
        coalesce(known_teams.team, teams_firsts.team) as team,
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
    left join persons_firsts on conversations.customer_key = persons_firsts.customer_key
    left join known_persons on conversations.conversation_key = known_persons.conversation_key
    left join agents on conversations.agent_key = agents.agent_key
    left join teams_firsts on conversations.agent_key = teams_firsts.agent_key
    left join known_teams on conversations.conversation_key = known_teams.conversation_key
    left join answers as surveys on conversations.conversation_key = surveys.conversation_key
    left join comments on conversations.conversation_key = comments.conversation_key
)

select * from final
