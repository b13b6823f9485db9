{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='customer_hash',
    post_hook='{{ forget_gone() }}'
) }}

with

-- Agents are few, and may stand behind any conversation.
agents_said as (
    select hash(agent_key, agent_name) as said from {{ ref('int_agent_aliases') }}
    union all
    select
        hash(
            agent_id, team, updated_at, extracted_at, file_name, row_number, source_name, batch_id, disposition
        )
    from {{ ref('stg_agents__classified') }}
),

agents_version as (
    select coalesce(sum(said), 0) as version from agents_said
),

versioned as materialized (
    select versions.customer_hash, hash(versions.row_version, agents_version.version) as row_version,
    from {{ ref('int_customer_versions') }} as versions
    cross join agents_version
),

{{ changed('customer_hash', has_several=true) }},

conversations as (
    select conversations.* exclude (row_version)
    from {{ ref('int_conversations') }} as conversations
    {{ of_changed_customers() }}
),

survey_days as (
    select customer_hash, responded_at, sum(satisfaction) as satisfaction, count(*) as n_surveys,
    from {{ ref('int_survey_responses') }}
    {{ of_changed_customers() }}
    where customer_hash is not null and responded_at is not null and satisfaction is not null
    group by customer_hash, responded_at
),

-- What a later version of an answer or an order changed counts from when it was known.
survey_moments as (
    select customer_hash, responded_at as counts_from, satisfaction, n_surveys from survey_days
    union all
    select customer_hash, counts_from, satisfaction, n_surveys,
    from {{ ref('int_survey_revisions') }}
    {{ of_changed_customers() }}
),

surveys_so_far as (
    select
        customer_hash,
        counts_from,
        sum(satisfaction) over so_far as satisfaction,
        sum(n_surveys) over so_far as n_surveys,
    from survey_moments
    window so_far as (partition by customer_hash order by counts_from)
),

comments as (
    select
        conversation_key,
        string_agg({{ mask_text('comment') }}, chr(10) order by responded_at, survey_response_key) as comment,
    from {{ ref('int_survey_responses') }}
    semi join conversations using (conversation_key)
    where comment is not null
    group by conversation_key
),

order_days as (
    select customer_hash, ordered_at, sum(amount) as amount, count(*) as n_orders,
    from {{ ref('int_orders') }}
    {{ of_changed_customers() }}
    where customer_hash is not null and ordered_at is not null and not is_cancelled
    group by customer_hash, ordered_at
),

order_moments as (
    select customer_hash, ordered_at as counts_from, amount, n_orders from order_days
    union all
    select customer_hash, counts_from, amount, n_orders,
    from {{ ref('int_order_revisions') }}
    {{ of_changed_customers() }}
),

orders_so_far as (
    select
        customer_hash,
        counts_from,
        sum(amount) over so_far as amount,
        sum(n_orders) over so_far as n_orders,
    from order_moments
    window so_far as (partition by customer_hash order by counts_from)
),

opening_days as (
    select customer_hash, opened_at, count(*) as n_opened,
    from conversations
    where customer_key is not null and opened_at is not null
    group by customer_hash, opened_at
),

openings_so_far as (
    select
        customer_hash,
        opened_at,
        sum(n_opened) over (partition by customer_hash order by opened_at) - n_opened as n_prior,
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
    select * from {{ ref('int_customer_rows') }}
    {{ of_changed_customers() }}
),

{{ as_known(
    'customers', 'persons', 'customer_key', 'customer_rows.customer_key', ['age', 'gender'], 'customer_rows'
) }},

-- Only keys and a moment: an as-of join sorts all that it is given.
moments as (
    select conversation_hash, conversation_key, customer_key, customer_hash, occurred_at,
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
        moments.conversation_hash,
        surveys_so_far.satisfaction,
        surveys_so_far.n_surveys,
        orders_so_far.amount,
        orders_so_far.n_orders,
    from moments
    asof left join surveys_so_far
        on
            moments.customer_hash = surveys_so_far.customer_hash
            and moments.occurred_at > surveys_so_far.counts_from
    asof left join orders_so_far
        on
            moments.customer_hash = orders_so_far.customer_hash
            and moments.occurred_at > orders_so_far.counts_from
),

described as (
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
        conversations.conversation_hash,
        conversations.customer_hash,
        versioned.row_version,
    from conversations
    left join versioned on conversations.customer_hash = versioned.customer_hash
    cross join {{ ref('int_as_of') }} as settings
    left join {{ ref('int_conversation_texts') }} as messages
        on conversations.conversation_hash = messages.conversation_hash
    left join openings_so_far
        on
            conversations.customer_hash = openings_so_far.customer_hash
            and conversations.opened_at = openings_so_far.opened_at
    left join histories on conversations.conversation_hash = histories.conversation_hash
    left join persons_firsts on conversations.customer_key = persons_firsts.customer_key
    left join known_persons on conversations.conversation_key = known_persons.conversation_key
    left join agents on conversations.agent_key = agents.agent_key
    left join teams_firsts on conversations.agent_key = teams_firsts.agent_key
    left join known_teams on conversations.conversation_key = known_teams.conversation_key
    left join answers as surveys on conversations.conversation_key = surveys.conversation_key
    left join comments on conversations.conversation_key = comments.conversation_key
),

final as (
    select * from described
    {{ gone('customer_hash', has_several=true) }}
)

select * from final
