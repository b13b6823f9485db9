-- Each question of docs/analyst.md as it was found to be fastest by hand, after "number: what was done".

-- 1: months told apart as dates, written as text once
select
    strftime(month, '%Y-%m') as month, messages, opened, closed, answers, round(satisfaction, 2) as satisfaction
from (
    select
        date_trunc('month', day) as month,
        sum(n_communications)::integer as messages,
        sum(n_conversations_opened)::integer as opened,
        sum(n_conversations_closed)::integer as closed,
        sum(n_survey_responses)::integer as answers,
        sum(satisfaction_sum) / nullif(sum(n_survey_responses), 0) as satisfaction
    from agg_channel_daily
    group by 1
)
order by month

-- 2: both quantiles out of one list, NULLs left out before
select channel, n as begun_by_customers, answered, round(q[1], 1) as median_minutes, round(q[2], 1) as nine_in_ten
from (
    select
        channel, count(*) as n, count(first_reply_minutes) as answered,
        quantile_cont(first_reply_minutes, [0.5, 0.9]) as q
    from fct_conversation_metrics
    where is_inbound
    group by channel
)
order by n desc

-- 3: grouped by the bare column
select
    coalesce(category, '(未分类)'), n, n_reopened, round(100.0 * n_reopened / n, 1), round(mean, 2)
from (
    select category, count(*) as n, count(*) filter (where is_reopened) as n_reopened, avg(satisfaction) as mean
    from fct_conversations
    group by category
)
order by n desc, 1

-- 4: one pass, counts instead of a mean of casts
select
    channel, surveyed,
    round(100 * surveyed / n)::integer,
    round(100 * share)::integer,
    round(100 * (share + 1.9208 / surveyed - reach) / (1 + 3.8416 / surveyed))::integer,
    round(100 * (share + 1.9208 / surveyed + reach) / (1 + 3.8416 / surveyed))::integer
from (
    select *, 1.96 * sqrt(share * (1 - share) / surveyed + 0.9604 / surveyed ** 2) as reach
    from (
        select
            channel, count(*) as n, count(satisfaction) as surveyed, count(*) filter (where satisfaction >= 0.75) / surveyed as share
        from fct_conversations
        group by channel
    )
    where surveyed >= 30
)
order by share desc

-- 5: as the page has it, rounded outside
select outcome_state, n, surveyed, round(mean, 2)
from (
    select outcome_state, count(*) as n, count(satisfaction) as surveyed, avg(satisfaction) as mean
    from fct_conversations
    group by outcome_state
)
order by mean desc

-- 6: the pattern is looked for once per comment, not once per answer
select comment_masked, n, round(mean, 2)
from (
    select comment_masked, count(*) as n, avg(satisfaction) as mean
    from fct_survey_responses
    where satisfaction <= 0.5 and comment_masked is not null
    group by comment_masked
)
where regexp_matches(comment_masked, '[一-鿿]')
order by n desc, comment_masked
limit 6

-- 7: segments from their own narrow mart
select
    segments.segment_name, count(*), count(care.cs), round(median(care.csf), 2), round(median(care.tp), 2),
    round(median(care.cs_in_value_band), 2) as place
from (select customer_key, cs, csf, tp, cs_in_value_band from customer_satisfaction_index) as care
left join (select customer_key, segment_name from customer_segments) as segments using (customer_key)
group by segments.segment_name
order by place nulls last

-- 8: the few customers first
select coalesce(city, '(未知)') as city_name, count(*) as n, sum(order_value)
from dim_customers
where customer_key in (
    select customer_key from customer_satisfaction_index where value_band = 5 and cs_in_value_band <= 0.2
)
group by rollup (city)
order by grouping(city) desc, n desc, city_name

-- 9: from the daily and monthly sums
select strftime(month, '%Y-%m'), orders, contacts, round(100.0 * contacts / orders)::integer
from (
    select date_trunc('month', day) as month, sum(n_from_customers)::bigint as contacts
    from agg_service_daily
    group by 1
)
join (select month, max(n_orders) as orders from agg_need_contacts where breakdown = 'all' group by 1) using (month)
order by month

-- 10: teams filtered before the join; summing up by agent first was slower
select team, count(*) as conversations, count(satisfaction), round(avg(satisfaction), 2) as mean
from (select agent_key, satisfaction from fct_conversations)
join (select agent_key, team from dim_agents where team is not null) using (agent_key)
group by team
having count(satisfaction) >= 30
order by mean desc

-- 11: as the page has it, rounded outside
select n_channels, n, round(mean, 1)
from (
    select n_channels, count(*) as n, avg(n_conversations) as mean
    from dim_customers
    where n_conversations > 0
    group by n_channels
)
order by n_channels

-- 12: surveyed conversations first, fifths as whole numbers
select least(fifth, 4) / 5 as chance_from, count(*), round(avg(p_satisfied), 2), round(avg(satisfied), 2)
from (
    select
        floor(predictions.p_satisfied * 5)::integer as fifth,
        predictions.p_satisfied,
        (conversations.satisfaction >= 0.75)::integer as satisfied
    from (
        select conversation_key, satisfaction from fct_conversations where satisfaction is not null
    ) as conversations
    join (select conversation_key, p_satisfied from satisfaction_predictions) as predictions using (conversation_key)
)
group by 1
order by 1

-- 13: as the page has it; a handful of rows
select
    sum(n_physical), sum(n_staged), sum(n_structural_rejects) + sum(n_rejected), sum(n_duplicates),
    sum(n_superseded), sum(n_deleted), sum(n_held), bool_and(is_balanced)
from source_runs

-- 14: as the page has it, rounded outside
select channel, n, round(waited / 60)::integer as hours_waited, round(of_these / 60)::integer
from (
    select
        channel, count(*) as n, sum(requester_wait_minutes) as waited,
        sum(requester_wait_business_minutes) as of_these
    from fct_conversation_metrics
    where is_inbound and status = 'closed'
    group by channel
)
order by hours_waited desc

-- 15: sums once, the share from them
select channel, hit, breach, active, round(100.0 * hit / nullif(hit + breach, 0), 1) as share
from (
    select
        channel, sum(n_first_reply_hit) as hit, sum(n_first_reply_breach) as breach,
        sum(n_first_reply_active) as active
    from agg_service_daily
    group by channel
)
order by share, channel

-- 16: summed up by day before months are told apart
select
    strftime(day, '%Y-%m') as month,
    sum(offered)::integer, sum(answered)::integer,
    round(100.0 * sum(abandoned) / sum(offered), 1),
    round(sum(seconds) / nullif(sum(times), 0))::integer,
    round(100.0 * sum(in_time) / nullif(sum(judged), 0), 1),
    round(sum(handle) / nullif(sum(handled), 0))::integer
from (
    select
        day, sum(n_calls_offered) as offered, sum(n_calls_answered) as answered,
        sum(n_calls_abandoned) as abandoned, sum(answer_seconds) as seconds, sum(n_answer_times) as times,
        sum(n_answered_in_time) as in_time, sum(n_service_level_judged) as judged, sum(handle_seconds) as handle,
        sum(n_handle_times) as handled
    from agg_service_daily
    where channel = 'phone'
    group by day
)
group by month
order by month

-- 17: summed up by day before weeks are told apart
select date_trunc('week', day)::date as week, sum(n)::integer, sum(soon)::integer, round(100.0 * sum(soon) / sum(n), 1)
from (
    select day, sum(n_chats) as n, sum(n_chats_replied_within_3_minutes) as soon
    from agg_service_daily
    where n_chats > 0
    group by day
)
group by week
order by week desc
limit 6

-- 18: only the last days are summed up
select day, sum(n_opened)::integer, sum(n_reopened)::integer, sum(n_closed)::integer, sum(n_open_at_end)::integer
from agg_backlog_daily
where day > (select max(day) - 30 from agg_backlog_daily)
group by day
order by day desc
limit 7

-- 19: summed up by agent before the join
select agent_name, judged::integer, round(100.0 * resolved / judged, 1) as share, round(touches / n, 1)
from (
    select
        agent_key, sum(n_first_contact_judged) as judged, sum(n_first_contact_resolved) as resolved,
        sum(n_touches) as touches, sum(n_conversations) as n
    from agg_service_daily
    where agent_key is not null
    group by agent_key
    having judged >= 30
)
join dim_agents using (agent_key)
order by share desc, agent_name
limit 6

-- 20: only what has a survey is joined
with waits as (
    select conversation_key, least(n_touches, 4) as touches, full_resolution_minutes as minutes
    from fct_conversation_metrics
    where n_touches > 0 and status = 'closed'
),
counted as (
    select touches, count(*) as n, round(median(minutes) / 60, 1) as hours from waits group by touches
),
surveyed as (
    select touches, count(*) as n, round(avg(satisfaction), 2) as mean
    from waits
    join (
        select conversation_key, satisfaction from fct_conversations where satisfaction is not null and status = 'closed'
    ) using (conversation_key)
    group by touches
)
select touches, counted.n, coalesce(surveyed.n, 0), surveyed.mean, counted.hours
from counted
left join surveyed using (touches)
order by touches

-- 21: grouped by the code, named afterwards
select coalesce(max(name), '(未知)') as name_zh, sum(n) as n, sum(by_keyword), round(100.0 * sum(resolved) / nullif(sum(judged), 0), 1), sum(provisional)
from (
    select
        need, min(need_name_zh) as name, count(*) as n, count(*) filter (where evidence = 'keyword') as by_keyword,
        count(*) filter (where is_resolved) as resolved, count(is_resolved) as judged, count(*) filter (where is_provisional) as provisional
    from conversation_needs
    where is_inbound
    group by need
)
group by coalesce(name, '(未知)')
order by n desc, name_zh

-- 22: one pass without a step before it
select need_name, count(*) as n, round(100.0 * count(*) filter (where not is_resolved) / count(*), 1) as share
from conversation_needs
where is_inbound and closed_at is not null and not is_provisional and is_resolved is not null
group by need_name
having n >= 30
order by share desc, need_name

-- 23: as the page has it; some hundred rows
select need, round(100.0 * sum(n_contacts) / sum(n_orders), 1) as share, max(per_hundred_orders)::decimal(9, 1)
from agg_need_contacts
where breakdown = 'all'
group by need
order by share desc, need

-- 24: orders with a contact first
select store, count(distinct conversation_key) as contacts, n as orders, round(100.0 * contacts / n, 1) as share
from (
    select store, count(*) as n
    from fct_orders
    where not is_cancelled and store is not null
    group by store
)
left join (
    select orders.store, needs.conversation_key
    from conversation_needs as needs
    join fct_orders as orders using (order_key)
    where needs.is_inbound and needs.order_key is not null and not orders.is_cancelled and orders.store is not null
) using (store)
group by store, n
order by share desc, store
limit 5

-- 25: the five first, their names afterwards
select customers.name_masked, found.rfm, found.order_value, found.days_since_last_order, found.risk, found.expected
from (
    select
        value.customer_key, value.rfm, value.order_value, value.days_since_last_order,
        round(retention.churn_risk, 2) as risk, round(value.expected_value_365d)::integer as expected
    from (select * from customer_value where monetary_quintile = 5) as value
    join (select customer_key, churn_risk from customer_retention where churn_risk >= 0.5) as retention
        using (customer_key)
    order by value.order_value desc, value.customer_key
    limit 5
) as found
join dim_customers as customers using (customer_key)
order by found.order_value desc, found.customer_key

-- 26: months told apart as dates, written as text once
select strftime(month, '%Y-%m') as name, n, judged, again
from (
    select
        date_trunc('month', value.first_order_day) as month, count(*) as n, count(retention.is_repeat_90d) as judged,
        count(*) filter (where retention.is_repeat_90d) as again
    from (select customer_key, first_order_day from customer_value) as value
    join (select customer_key, is_repeat_90d from customer_retention) as retention using (customer_key)
    group by 1
)
order by name desc nulls first
limit 5

-- 27: three counts, each once
select answered, promoters, detractors, round(100.0 * (promoters - detractors) / nullif(answered, 0))::integer
from (
    select
        count(nps_score) as answered, count(*) filter (where nps_group = 'promoter') as promoters,
        count(*) filter (where nps_group = 'detractor') as detractors
    from customer_retention
)

-- 28: sums once, the share from them
select n::integer, converted::integer, round(100.0 * converted / nullif(n, 0), 1)
from (
    select sum(n_presale_conversations) as n, sum(n_presale_converted) as converted
    from customer_retention
)

-- 29: the last six weeks only
select week, count(cs), round(median(csf), 2), round(avg(tp), 2), round(median(cs), 2)
from customer_satisfaction_index_weekly
where
    value_band = 5
    and week >= (select max(week) - 35 from customer_satisfaction_index_weekly where value_band = 5)
group by week
order by week desc
limit 6

-- 30: the day as two moments, found before
with worst as (
    select day, channel
    from agg_service_daily
    group by day, channel
    order by sum(n_first_reply_breach) desc, day, channel
    limit 1
)
select
    worst.day, metrics.channel, left(metrics.conversation_key, 8) as conversation,
    round(metrics.requester_wait_minutes)::integer as minutes_waited,
    metrics.first_reply_due_at at time zone 'Asia/Shanghai'
from (
    select channel, conversation_key, requester_wait_minutes, first_reply_due_at
    from fct_conversation_metrics
    where
        first_reply_sla = 'breach'
        and opened_at >= (select day::timestamp at time zone 'Asia/Shanghai' from worst)
        and opened_at < (select (day + 1)::timestamp at time zone 'Asia/Shanghai' from worst)
        and channel = (select channel from worst)
    order by round(requester_wait_minutes)::integer desc, left(conversation_key, 8)
    limit 5
) as metrics, worst
order by minutes_waited desc, conversation

-- 31: months told apart as dates, written as text once
select strftime(month, '%Y-%m') as name, channel, n::integer, round(negative / n, 3), round(positive / n, 3)
from (
    select
        date_trunc('month', day) as month, channel, sum(n_sentiment_scored) as n,
        sum(n_sentiment_negative) as negative, sum(n_sentiment_positive) as positive
    from agg_channel_daily
    where n_sentiment_scored > 0
    group by 1, 2
    having n >= 100
)
order by channel, name
