-- The second part of the script by hand: what service was like, what customers came for, and the index by week, on
-- the tables of the first part. Again one fixed shape of data: threads take turns and never come back once closed,
-- nobody hands on or puts on hold, there are no holidays, order lines or stores, and every promise is the usual one.
create or replace temp table hours as
with

days as (
    select unnest(generate_series(timestamp '2023-12-25', timestamp '2026-12-31', interval 1 day)) as day
)

select
    epoch_ms(day + interval 9 hour) as opens_ms,
    epoch_ms(day + interval 18 hour) as closes_ms,
    (row_number() over (order by day) - 1) * 9 * 3600000 as ms_before,
from days
where isodow(day) <= 5;

create or replace temp macro minutes(ms) as (ms / 60000)::decimal(18, 3);

create or replace temp table served as
with

cases_and_threads as (
    select
        *,
        epoch_ms(opened_at) as opened_ms,
        epoch_ms(first_reply_at) as first_reply_ms,
        epoch_ms(closed_at) as closed_ms,
        epoch_ms(coalesce(closed_at, as_of)) as end_ms,
        as_of,
    from conversations
    cross join as_of
),

-- 0 the customer, 1 we, 2 the end, 3 the close.
moments as (
    select conversation_key, epoch_ms(messages.sent_at) as at_ms, (direction = 'outbound')::integer as kind,
    from messages
    inner join cases_and_threads as threads using (conversation_key)
    where epoch_ms(messages.sent_at) <= threads.end_ms
    union all
    select conversation_key, opened_ms, 0 from cases_and_threads where channel = 'phone'
    union all
    select conversation_key, first_reply_ms, 1 from cases_and_threads where channel = 'phone'
    union all
    select conversation_key, end_ms, 2 from cases_and_threads
    union all
    select conversation_key, closed_ms, 3 from cases_and_threads where closed_ms is not null
),

turns as (
    select conversation_key, at_ms, kind,
    from moments
    qualify kind is distinct from lag(kind) over (partition by conversation_key order by at_ms, kind)
),

timed as (
    select
        turns.conversation_key, turns.at_ms, turns.kind,
        hours.ms_before + least(turns.at_ms, hours.closes_ms) - hours.opens_ms as business_ms,
    from turns
    asof inner join hours on turns.at_ms >= hours.opens_ms
),

spans as (
    select
        conversation_key, kind, business_ms,
        row_number() over in_order as position,
        lead(kind) over in_order as next_kind,
        lead(at_ms) over in_order - at_ms as ms,
        lead(business_ms) over in_order - business_ms as wait_business_ms,
    from timed
    window in_order as (partition by conversation_key order by at_ms, kind)
),

waited as (
    select
        conversation_key,
        coalesce(sum(ms) filter (where kind = 0), 0) as requester_ms,
        coalesce(sum(wait_business_ms) filter (where kind = 0), 0) as requester_business_ms,
        max(wait_business_ms) filter (where position = 1 and next_kind = 1) as first_reply_business_ms,
        count(*) filter (where kind = 0 and position > 1 and next_kind = 1) as n_next_replies,
        sum(ms) filter (where kind = 0 and position > 1 and next_kind = 1) as next_ms,
        sum(wait_business_ms) filter (where kind = 0 and position > 1 and next_kind = 1) as next_business_ms,
        max(ms) filter (where kind = 0 and position > 1 and next_kind = 1) as longest_next_ms,
        coalesce(sum(ms) filter (where kind = 1), 0) as agent_ms,
        coalesce(sum(wait_business_ms) filter (where kind = 1), 0) as agent_business_ms,
        max(business_ms) filter (where kind = 3) - min(business_ms) as resolution_business_ms,
        max(business_ms) - min(business_ms) as open_business_ms,
    from spans
    group by conversation_key
)

select
    cases_and_threads.*,
    waited.* exclude (conversation_key),
    opened_at + to_minutes(case channel when 'chat' then 3 when 'social' then 240 else 1440 end) as due_at,
    lead(opened_at) over (partition by customer_key, category order by opened_at, conversation_key) as next_opened_at,
from cases_and_threads
inner join waited using (conversation_key);

create or replace table fct_conversation_metrics as
select
    conversation_key, customer_key, agent_key, null::varchar as team, source_name, channel, category, status,
    true as is_inbound, opened_at, closed_at as first_closed_at, null::timestamptz as reopened_at, closed_at,
    first_reply_minutes,
    minutes(first_reply_business_ms) as first_reply_business_minutes,
    n_next_replies::integer as n_next_replies,
    minutes(next_ms) as next_reply_minutes,
    minutes(next_business_ms) as next_reply_business_minutes,
    minutes(longest_next_ms) as longest_next_reply_minutes,
    minutes(requester_ms) as requester_wait_minutes,
    minutes(requester_business_ms) as requester_wait_business_minutes,
    minutes(if(channel = 'phone', 0, agent_ms)) as agent_wait_minutes,
    minutes(if(channel = 'phone', 0, agent_business_ms)) as agent_wait_business_minutes,
    null::decimal(18, 3) as on_hold_minutes, null::decimal(18, 3) as on_hold_business_minutes,
    resolution_minutes as first_resolution_minutes,
    minutes(resolution_business_ms) as first_resolution_business_minutes,
    resolution_minutes as full_resolution_minutes,
    minutes(resolution_business_ms) as full_resolution_business_minutes,
    coalesce(first_reply_minutes, minutes(end_ms - opened_ms)) as unassigned_minutes,
    minutes(coalesce(first_reply_business_ms, open_business_ms)) as unassigned_business_minutes,
    0 as n_reopens, (agent_key is not null)::integer as n_agents, 0 as n_handoffs,
    if(channel = 'phone', 1, n_outbound) as n_touches,
    status = 'closed' and if(channel = 'phone', 1, n_outbound) = 1 as is_one_touch,
    status = 'closed' and if(channel = 'phone', 1, n_outbound) = 2 as is_two_touch,
    case
        when status = 'open' then null
        when outcome_state <> 'resolved_first_time' or next_opened_at <= closed_at + interval 7 day then false
        when closed_at + interval 7 day <= as_of then true
    end as is_first_contact_resolution,
    if(channel = 'phone', 1, null)::integer as n_calls_offered,
    if(channel = 'phone', 1, null)::integer as n_calls_answered,
    if(channel = 'phone', 0, null)::integer as n_calls_abandoned,
    if(channel = 'phone', first_reply_minutes * 60, null)::decimal(18, 3) as answer_seconds,
    if(channel = 'phone', first_reply_minutes * 60 <= 20, null) as is_answered_in_time,
    null::decimal(18, 3) as handle_seconds,
    if(channel = 'chat', coalesce(first_reply_minutes <= 3, false), null) as is_chat_replied_within_3_minutes,
    due_at as first_reply_due_at,
    case
        when first_reply_at <= due_at then 'hit'
        when coalesce(first_reply_at, as_of) > due_at then 'breach'
        else 'active'
    end as first_reply_sla,
    null::varchar as next_reply_sla, null::timestamptz as resolution_due_at, null::varchar as resolution_sla,
from served;

create or replace table agg_service_daily as
select
    opened_at::date as day, channel, agent_key, null::varchar as team,
    count(*)::integer as n_conversations,
    count(*)::integer as n_from_customers,
    count(*) filter (where status = 'closed')::integer as n_closed,
    count(first_reply_minutes)::integer as n_first_replies,
    sum(first_reply_minutes)::decimal(18, 3) as first_reply_minutes,
    sum(first_reply_business_minutes)::decimal(18, 3) as first_reply_business_minutes,
    sum(n_next_replies)::integer as n_next_replies,
    sum(next_reply_minutes)::decimal(18, 3) as next_reply_minutes,
    sum(next_reply_business_minutes)::decimal(18, 3) as next_reply_business_minutes,
    sum(requester_wait_minutes)::decimal(18, 3) as requester_wait_minutes,
    sum(requester_wait_business_minutes)::decimal(18, 3) as requester_wait_business_minutes,
    sum(agent_wait_minutes)::decimal(18, 3) as agent_wait_minutes,
    sum(agent_wait_business_minutes)::decimal(18, 3) as agent_wait_business_minutes,
    0 as n_on_hold, null::decimal(18, 3) as on_hold_minutes, null::decimal(18, 3) as on_hold_business_minutes,
    count(full_resolution_minutes)::integer as n_resolution_times,
    sum(full_resolution_minutes)::decimal(18, 3) as full_resolution_minutes,
    sum(full_resolution_business_minutes)::decimal(18, 3) as full_resolution_business_minutes,
    count(unassigned_minutes)::integer as n_assignment_times,
    sum(unassigned_minutes)::decimal(18, 3) as unassigned_minutes,
    sum(unassigned_business_minutes)::decimal(18, 3) as unassigned_business_minutes,
    0 as n_reopened, 0 as n_reopens, 0 as n_handoffs,
    sum(n_touches)::integer as n_touches,
    count(*) filter (where is_one_touch)::integer as n_one_touch,
    count(*) filter (where is_two_touch)::integer as n_two_touch,
    count(is_first_contact_resolution)::integer as n_first_contact_judged,
    count(*) filter (where is_first_contact_resolution)::integer as n_first_contact_resolved,
    coalesce(sum(n_calls_offered), 0)::integer as n_calls_offered,
    coalesce(sum(n_calls_answered), 0)::integer as n_calls_answered,
    coalesce(sum(n_calls_abandoned), 0)::integer as n_calls_abandoned,
    count(answer_seconds)::integer as n_answer_times,
    sum(answer_seconds)::decimal(18, 3) as answer_seconds,
    count(is_answered_in_time)::integer as n_service_level_judged,
    count(*) filter (where is_answered_in_time)::integer as n_answered_in_time,
    0 as n_handle_times, null::decimal(18, 3) as handle_seconds,
    count(is_chat_replied_within_3_minutes)::integer as n_chats,
    count(*) filter (where is_chat_replied_within_3_minutes)::integer as n_chats_replied_within_3_minutes,
    count(*) filter (where first_reply_sla = 'hit')::integer as n_first_reply_hit,
    count(*) filter (where first_reply_sla = 'breach')::integer as n_first_reply_breach,
    count(*) filter (where first_reply_sla = 'active')::integer as n_first_reply_active,
    0 as n_next_reply_hit, 0 as n_next_reply_breach, 0 as n_next_reply_active,
    0 as n_resolution_hit, 0 as n_resolution_breach, 0 as n_resolution_active,
from fct_conversation_metrics
group by day, channel, agent_key;

create or replace table agg_backlog_daily as
with

changes as (
    select channel, opened_at::date as day, 1 as opened, 0 as closed from served
    union all
    select channel, closed_at::date, 0, 1 from served
    where closed_at is not null
),

daily as (
    select channel, day, sum(opened)::integer as n_opened, sum(closed)::integer as n_closed,
    from changes
    group by channel, day
),

days as (
    select channel, unnest(generate_series(min(day)::timestamp, max(as_of) - interval 1 day, interval 1 day))::date as day,
    from daily
    cross join as_of
    group by channel
)

select
    day, channel, coalesce(n_opened, 0) as n_opened, 0 as n_reopened, coalesce(n_closed, 0) as n_closed,
    sum(coalesce(n_opened - n_closed, 0)) over (partition by channel order by day)::integer as n_open_at_end,
from days
left join daily using (channel, day);

create or replace table conversation_needs as
with

said as (
    select
        messages.conversation_key,
        unnest(list_distinct(regexp_extract_all(lower(messages.body), getvariable('need_pattern')))) as word,
    from messages
    inner join conversations using (conversation_key)
    where messages.direction = 'inbound' and messages.sent_at <= conversations.occurred_at
),

matched as (
    select conversations.conversation_key, need_rules.need, 'category' as evidence,
    from conversations
    inner join need_rules on need_rules.kind = 'category' and conversations.category = need_rules.word
    union all
    select said.conversation_key, need_rules.need, 'keyword',
    from said
    inner join need_rules on need_rules.kind <> 'category' and said.word = need_rules.word
),

told as (
    select conversation_key, need, min(evidence) as evidence,
    from matched
    group by conversation_key, need
),

placed as (
    select
        told.*, conversations.customer_key, conversations.channel, conversations.status, conversations.opened_at,
        conversations.closed_at, as_of.as_of,
        lead(conversations.opened_at) over (
            partition by conversations.customer_key, told.need order by conversations.opened_at, told.conversation_key
        ) as next_opened_at,
    from told
    inner join conversations using (conversation_key)
    cross join as_of
),

judged as (
    select
        *,
        status = 'closed' and coalesce(next_opened_at > closed_at + interval 7 day, true) as is_resolved,
    from placed
)

select
    judged.conversation_key, judged.need, needs.name as need_name, needs.name_zh as need_name_zh, needs.is_presale,
    judged.evidence, judged.customer_key, null::varchar as order_key, judged.channel, true as is_inbound,
    judged.opened_at, judged.closed_at, judged.is_resolved,
    coalesce(judged.is_resolved and judged.closed_at + interval 7 day > judged.as_of, false) as is_provisional,
from judged
inner join needs using (need);

create or replace table agg_need_contacts as
with

ordered as (
    select date_trunc('month', ordered_at)::date as month, count(*) as n_orders,
    from fct_orders
    where not is_cancelled
    group by month
),

asked as (
    select
        date_trunc('month', opened_at)::date as month,
        need,
        count(*) as n_contacts,
        count(is_resolved) as n_judged,
        count(*) filter (where is_resolved) as n_resolved,
    from conversation_needs
    group by month, need
)

select
    asked.month, 'all' as breakdown, null::varchar as value, asked.need, asked.n_contacts::integer as n_contacts,
    asked.n_judged::integer as n_judged, asked.n_resolved::integer as n_resolved,
    coalesce(ordered.n_orders, 0)::integer as n_orders,
    (100 * asked.n_contacts / nullif(ordered.n_orders, 0))::decimal(18, 3) as per_hundred_orders,
from asked
left join ordered using (month);

create or replace table customer_satisfaction_index_weekly as
with

weeks as (
    select monday - interval 7 day as week, monday as ends_at, monday - interval 90 day as begins_at,
    from (
        select unnest(generate_series(
            date_trunc('week', as_of) - interval 84 day, date_trunc('week', as_of), interval 7 day
        )) as monday
        from as_of
    )
),

answered as (
    select conversation_key, satisfaction from fct_conversations
),

looked_at as (
    select weeks.week, conversations.customer_key, conversations.outcome_state, answered.satisfaction,
    from conversations
    inner join answered using (conversation_key)
    inner join weeks on conversations.occurred_at > weeks.begins_at and conversations.occurred_at <= weeks.ends_at
),

means as (
    select week, sum(satisfaction) / count(satisfaction) as mean from looked_at
    group by week
),

states as (
    select
        looked_at.week, looked_at.outcome_state,
        ((coalesce(sum(satisfaction), 0) + 10 * max(mean)) / (count(satisfaction) + 10))::decimal(9, 6) as expected,
    from looked_at
    inner join means using (week)
    group by looked_at.week, looked_at.outcome_state
),

care as (
    select
        week, customer_key, count(*)::integer as n_conversations, count(satisfaction)::integer as n_surveyed,
        (sum(coalesce(satisfaction, expected)) / count(expected))::decimal(9, 6) as csf,
    from looked_at
    left join states using (week, outcome_state)
    group by week, customer_key
),

spent as (
    select weeks.week, fct_orders.customer_key, sum(fct_orders.amount) as amount,
    from fct_orders
    inner join weeks on fct_orders.ordered_at <= weeks.ends_at
    where not fct_orders.is_cancelled
    group by weeks.week, fct_orders.customer_key
),

worth as (
    select
        week, customer_key, (cume_dist() over (partition by week order by amount))::decimal(9, 6) as place,
        greatest(place, 0.1) as cv,
    from spent
),

due as (
    select
        weeks.week, served.customer_key, count(*)::integer as n_due,
        count(*) filter (where first_reply_at <= due_at)::integer as n_met,
    from served
    inner join weeks on served.due_at > weeks.begins_at and served.due_at <= weeks.ends_at
    group by weeks.week, served.customer_key
),

united as (
    select
        week, customer_key, care.csf, worth.cv, (due.n_met / due.n_due)::decimal(9, 6) as tp,
        (care.csf / worth.cv * (due.n_met / due.n_due)::decimal(9, 6))::decimal(18, 6) as cs,
        ceil(worth.place * 5)::integer as value_band,
        coalesce(care.n_conversations, 0) as n_conversations, coalesce(care.n_surveyed, 0) as n_surveyed,
        coalesce(due.n_due, 0) as n_due, coalesce(due.n_met, 0) as n_met,
    from care
    full outer join due using (week, customer_key)
    left join worth using (week, customer_key)
)

select
    week::date as week, customer_key, cs, csf, cv, tp,
    case
        when cs is not null
            then (cume_dist() over (partition by week, value_band, cs is null order by cs))::decimal(9, 6)
    end as cs_in_value_band,
    value_band, n_conversations, n_surveyed, n_due as n_obligations_due, n_met as n_obligations_met,
from united;
