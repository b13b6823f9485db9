with

settings as (
    select as_of, as_of - to_days(index_window_days) as window_start, value_floor, cv_basis,
    from {{ ref('int_as_of') }}
),

conversations as (
    select
        conversations.customer_key,
        conversations.outcome_state,
        surveys.satisfaction,
    from {{ ref('int_conversations') }} as conversations
    cross join settings
    left join {{ ref('int_conversation_surveys') }} as surveys using (conversation_key)
    where
        conversations.occurred_at > settings.window_start
        and conversations.occurred_at <= settings.as_of
),

-- A state with few surveys is pulled towards the mean of all, by a fixed number of conversations.
overall as (
    select sum(satisfaction) as satisfaction, count(satisfaction) as n_surveyed,
    from conversations
),

states as (
    select
        conversations.outcome_state,
        ((
            coalesce(sum(conversations.satisfaction), 0)
            + {{ var('shrink_conversations') }} * max(overall.satisfaction / overall.n_surveyed)
        ) / (count(conversations.satisfaction) + {{ var('shrink_conversations') }}))::decimal(9, 6) as expected,
    from conversations
    cross join overall
    where overall.n_surveyed > 0
    group by conversations.outcome_state
),

care as (
    select
        conversations.customer_key,
        {{ share('sum(coalesce(conversations.satisfaction, states.expected))', 'count(states.expected)') }} as csf,
        count(*)::integer as n_conversations,
        count(conversations.satisfaction)::integer as n_surveyed,
    from conversations
    left join states using (outcome_state)
    where conversations.customer_key is not null
    group by conversations.customer_key
),

spending as (
    select orders.customer_key, sum(orders.amount) as amount,
    from {{ ref('int_orders') }} as orders
    cross join settings
    where
        orders.customer_key is not null and not orders.is_cancelled and orders.amount is not null
        and (orders.ordered_at <= settings.as_of or orders.ordered_at is null)
    group by orders.customer_key
),

answers as (
    select surveys.customer_key, surveys.score,
    from {{ ref('int_survey_responses') }} as surveys
    cross join settings
    where
        surveys.customer_key is not null and surveys.kind = 'nps' and surveys.score is not null
        and surveys.responded_at > settings.window_start and surveys.responded_at <= settings.as_of
    qualify
        row_number() over (
            partition by surveys.customer_key order by surveys.responded_at desc, surveys.survey_response_key
        ) = 1
),

monetary as (
    select
        spending.customer_key,
        greatest((cume_dist() over (order by spending.amount))::decimal(9, 6), settings.value_floor) as cv,
        (cume_dist() over (order by spending.amount))::decimal(9, 6) as value_rank,
    from spending
    cross join settings
    where settings.cv_basis = 'monetary'
),

perceived as (
    select
        answers.customer_key,
        ((answers.score + 1) / 11)::decimal(9, 6) as cv,
        (cume_dist() over (order by answers.score))::decimal(9, 6) as value_rank,
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
        customer_key,
        count(*)::integer as n_obligations_due,
        count(*) filter (where is_met)::integer as n_obligations_met,
        {{ share('count(*) filter (where is_met)', 'count(*)') }} as tp,
    from {{ ref('int_obligations') }}
    group by customer_key
),

parts as (
    select
        customers.customer_key,
        settings.as_of,
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
    cross join settings
    left join care using (customer_key)
    left join customer_values using (customer_key)
    left join follow_through using (customer_key)
),

final as (
    select
        customer_key,
        as_of,
        cs,
        csf,
        cv,
        tp,
        case
            when cs is not null
                then (cume_dist() over (partition by value_band, cs is null order by cs))::decimal(9, 6)
        end as cs_in_value_band,
        value_band,
        n_conversations,
        n_surveyed,
        n_obligations_due,
        n_obligations_met,
        cv_basis,
        missing_part,
    from parts
)

select * from final
