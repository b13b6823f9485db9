{# The satisfaction index and its parts as they are at one moment, or at several: CTEs up to `parts`, after one
   called `ends` (as_of, window_start) and one called `settings` (value_floor, cv_basis). What is known now is
   taken for what was true then: a late record changes the weeks it belongs to. #}
{% macro index_parts() -%}
answered as (
    select
        conversations.customer_key,
        conversations.outcome_state,
        conversations.occurred_at,
        surveys.satisfaction,
    from {{ ref('int_conversations') }} as conversations
    left join {{ ref('int_conversation_surveys') }} as surveys using (conversation_key)
    where conversations.occurred_at > (select min(window_start) from ends)
),

conversations as (
    select
        ends.as_of,
        answered.customer_key,
        answered.outcome_state,
        answered.satisfaction,
    from answered
    inner join ends on answered.occurred_at > ends.window_start and answered.occurred_at <= ends.as_of
),

-- A state with few surveys is pulled towards the mean of all, by a fixed number of conversations.
overall as (
    select as_of, sum(satisfaction) as satisfaction, count(satisfaction) as n_surveyed,
    from conversations
    group by as_of
),

states as (
    select
        conversations.as_of,
        conversations.outcome_state,
        ((
            coalesce(sum(conversations.satisfaction), 0)
            + {{ var('shrink_conversations') }} * max(overall.satisfaction / overall.n_surveyed)
        ) / (count(conversations.satisfaction) + {{ var('shrink_conversations') }}))::decimal(9, 6) as expected,
    from conversations
    inner join overall using (as_of)
    where overall.n_surveyed > 0
    group by conversations.as_of, conversations.outcome_state
),

care as (
    select
        conversations.as_of,
        conversations.customer_key,
        {{ share('sum(coalesce(conversations.satisfaction, states.expected))', 'count(states.expected)') }} as csf,
        count(*)::integer as n_conversations,
        count(conversations.satisfaction)::integer as n_surveyed,
    from conversations
    left join states using (as_of, outcome_state)
    where conversations.customer_key is not null
    group by conversations.as_of, conversations.customer_key
),

spending as (
    select ends.as_of, orders.customer_key, sum(orders.amount) as amount,
    from {{ ref('int_orders') }} as orders
    inner join ends on orders.ordered_at <= ends.as_of or orders.ordered_at is null
    where orders.customer_key is not null and not orders.is_cancelled and orders.amount is not null
    group by ends.as_of, orders.customer_key
),

answers as (
    select ends.as_of, surveys.customer_key, surveys.score,
    from {{ ref('int_survey_responses') }} as surveys
    inner join ends on surveys.responded_at > ends.window_start and surveys.responded_at <= ends.as_of
    where surveys.customer_key is not null and surveys.kind = 'nps' and surveys.score is not null
    qualify
        row_number() over (
            partition by ends.as_of, surveys.customer_key order by surveys.responded_at desc, surveys.survey_response_key
        ) = 1
),

monetary as (
    select
        spending.as_of,
        spending.customer_key,
        (cume_dist() over (partition by spending.as_of order by spending.amount))::decimal(9, 6) as value_rank,
        greatest(value_rank, settings.value_floor) as cv,
    from spending
    cross join settings
    where settings.cv_basis = 'monetary'
),

perceived as (
    select
        answers.as_of,
        answers.customer_key,
        (cume_dist() over (partition by answers.as_of order by answers.score))::decimal(9, 6) as value_rank,
        ((answers.score + 1) / 11)::decimal(9, 6) as cv,
    from answers
    cross join settings
    where settings.cv_basis = 'perceived'
),

customer_values as (
    select * from monetary
    union all
    select * from perceived
),

follow_through as (
    select
        ends.as_of,
        obligations.customer_key,
        count(*)::integer as n_obligations_due,
        count(*) filter (where obligations.is_met)::integer as n_obligations_met,
        {{ share('count(*) filter (where obligations.is_met)', 'count(*)') }} as tp,
    from {{ ref('int_obligations') }} as obligations
    inner join ends on obligations.due_at > ends.window_start and obligations.due_at <= ends.as_of
    group by ends.as_of, obligations.customer_key
),

parts as (
    select
        customers.customer_key,
        ends.as_of,
        (care.csf / customer_values.cv * follow_through.tp)::decimal(18, 6) as cs,
        care.csf,
        customer_values.cv,
        follow_through.tp,
        ceil(customer_values.value_rank * 5)::integer as value_band,
        coalesce(care.n_conversations, 0) as n_conversations,
        coalesce(care.n_surveyed, 0) as n_surveyed,
        coalesce(follow_through.n_obligations_due, 0) as n_obligations_due,
        coalesce(follow_through.n_obligations_met, 0) as n_obligations_met,
        settings.cv_basis,
        nullif(concat_ws(
            '; ',
            case
                when care.n_conversations is null then 'csf: no conversation in the window'
                when care.csf is null then 'csf: no survey in the window'
            end,
            case
                when customer_values.cv is null and settings.cv_basis = 'monetary' then 'cv: no orders'
                when customer_values.cv is null then 'cv: no nps answer'
            end,
            case when follow_through.tp is null then 'tp: nothing was due' end
        ), '') as missing_part,
    from {{ ref('int_customers') }} as customers
    cross join ends
    cross join settings
    left join care using (as_of, customer_key)
    left join customer_values using (as_of, customer_key)
    left join follow_through using (as_of, customer_key)
)
{%- endmacro %}

{# The place among those of like worth at the same moment. #}
{% macro place_in_value_band() -%}
    case
        when cs is not null
            then (cume_dist() over (partition by as_of, value_band, cs is null order by cs))::decimal(9, 6)
    end
{%- endmacro %}
