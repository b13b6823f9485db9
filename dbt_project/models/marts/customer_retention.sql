with

settings as (
    select as_of from {{ ref('int_as_of') }}
),

purchases as (
    select orders.customer_key, orders.order_key, orders.ordered_at,
    from {{ ref('int_orders') }} as orders
    cross join settings
    where not orders.is_cancelled and orders.ordered_at <= settings.as_of and orders.customer_key is not null
),

repeats as (
    select
        customer_key,
        min(ordered_at) as first_order_at,
        -- an order of the same moment is a part of the first
        min(ordered_at) filter (where ordered_at > first_at) as second_order_at,
    from (
        select *, min(ordered_at) over (partition by customer_key) as first_at from purchases
    ) as dated
    group by customer_key
),

answers as (
    select surveys.customer_key, surveys.score::integer as nps_score, surveys.responded_at,
    from {{ ref('int_survey_responses') }} as surveys
    cross join settings
    where
        surveys.customer_key is not null and surveys.kind = 'nps' and surveys.score is not null
        and surveys.responded_at <= settings.as_of
    qualify
        row_number() over (
            partition by surveys.customer_key order by surveys.responded_at desc, surveys.survey_response_key
        ) = 1
),

presale as (
    select conversations.customer_key, conversations.conversation_key, conversations.opened_at,
    from {{ ref('int_conversations') }} as conversations
    cross join settings
    where
        lower(conversations.category) in {{ presale_words() }} and conversations.customer_key is not null
        and conversations.opened_at <= settings.as_of
),

conversions as (
    select
        presale.customer_key,
        count(*) as n_presale_conversations,
        count(*) filter (where purchases.ordered_at <= presale.opened_at + interval 7 day) as n_presale_converted,
    from presale
    asof left join purchases
        on presale.customer_key = purchases.customer_key and presale.opened_at <= purchases.ordered_at
    group by presale.customer_key
),

final as (
    select
        customers.customer_key,
        settings.as_of,
        scores.p_alive,
        (1 - scores.p_alive)::decimal(9, 6) as churn_risk,
        case
            -- who came back already is not told either: a rate of those would be one of the quick ones alone
            when repeats.first_order_at + interval 90 day <= settings.as_of
                then coalesce(repeats.second_order_at <= repeats.first_order_at + interval 90 day, false)
        end as is_repeat_90d,
        answers.nps_score,
        case
            when answers.nps_score >= 9 then 'promoter'
            when answers.nps_score >= 7 then 'passive'
            when answers.nps_score is not null then 'detractor'
        end as nps_group,
        answers.responded_at as nps_at,
        coalesce(conversions.n_presale_conversations, 0)::integer as n_presale_conversations,
        coalesce(conversions.n_presale_converted, 0)::integer as n_presale_converted,
    from {{ ref('int_customers') }} as customers
    cross join settings
    left join {{ source('ml', 'value_scores') }} as scores using (customer_key)
    left join repeats using (customer_key)
    left join answers using (customer_key)
    left join conversions using (customer_key)
)

select * from final
