-- What a good analyst would write by hand for the bulk sample, in one go and without a platform: no
-- ledger, no rejects, no duplicates, no late rows, no gates, one fixed shape of file. It gives five of
-- the marts, row for row; hand_written_service.sql goes on from here.
create or replace temp table messages as
with

written as (
    select 'bulk_messages' as source_name, 'chat' as channel, message_id, conversation_id, direction, handle, agent,
        sent_at, body, category,
    from read_csv('$folder/messages-*.csv', all_varchar = true)
    union all
    select 'bulk_posts', 'social', post_id, thread_id, direction, handle, agent, sent_at, body, category,
    from read_json('$folder/posts-*.jsonl', format = 'newline_delimited', columns = {
        post_id: 'varchar', thread_id: 'varchar', direction: 'varchar', handle: 'varchar', agent: 'varchar',
        sent_at: 'varchar', body: 'varchar', category: 'varchar'})
)

select
    md5(concat(getvariable('pepper'), '|communication|communications|', source_name, '|', message_id)) as communication_key,
    md5(concat(getvariable('pepper'), '|conversation|', source_name, '|', conversation_id)) as conversation_key,
    sha256(concat(getvariable('pepper'), '|handle|', channel, ':', lower(handle))) as contact_point_key,
    case when agent is not null then md5(concat(getvariable('pepper'), '|agent|', lower(agent))) end as agent_key,
    source_name, conversation_id, channel, direction, sent_at::timestamptz as sent_at, category, body,
    case
        when regexp_matches(body, '\p{Han}')
            and 5 * length(regexp_replace(body, '[^\p{Han}]', '', 'g')) >= length(body) then 'zh'
        when regexp_matches(body, '[A-Za-z]') then 'en'
        when regexp_matches(body, '\p{L}') then 'other'
    end as language,
    lower(handle) as handle,
from written;

create or replace temp table cases as
select
    md5(concat(getvariable('pepper'), '|conversation|bulk_cases|', case_no)) as conversation_key,
    case_no, customer_id, md5(concat(getvariable('pepper'), '|agent|', lower(agent))) as agent_key, category,
    opened_at::timestamptz as opened_at, first_reply_at::timestamptz as first_reply_at,
    closed_at::timestamptz as closed_at, csat::decimal(9, 3) as csat,
from read_csv('$folder/cases-*.csv', all_varchar = true);

create or replace temp table orders as
select order_no, customer_id, placed_at::timestamptz as ordered_at, amount::decimal(18, 2) as amount, lower(status) as status,
from read_csv('$folder/orders-*.csv', all_varchar = true);

create or replace temp table surveys as
select answer_no, conversation_id, score::decimal(9, 3) as score, nullif(trim(remark), '') as remark,
    answered_at::timestamptz as answered_at,
from read_csv('$folder/surveys-*.csv', all_varchar = true);

create or replace temp table points as
with

listed as (
    select customer_id::varchar as crm, lower(email) as email, phone, lower(handle) as handle,
    from read_json('$folder/customers-*.jsonl', format = 'newline_delimited')
),

seen as (
    select 'crm' as kind, customer_id as value, opened_at as seen_at from cases
    union all
    select 'crm', customer_id, ordered_at from orders
    union all
    select 'handle', channel || ':' || handle, sent_at from messages
),

first_seen as (
    select kind, value, min(seen_at) as seen_at from seen
    group by kind, value
),

grouped as (
    select crm, 'crm' as kind, crm as value from listed
    union all
    select crm, 'email', email from listed
    union all
    select crm, 'phone', phone from listed
    union all
    select crm, 'handle', 'social:' || handle from listed
),

keyed as (
    select
        coalesce(grouped.crm, first_seen.kind || ':' || first_seen.value) as customer,
        coalesce(grouped.kind, first_seen.kind) as kind,
        coalesce(grouped.value, first_seen.value) as value,
        first_seen.seen_at,
        sha256(concat(
            getvariable('pepper'), '|', coalesce(grouped.kind, first_seen.kind), '|',
            coalesce(grouped.value, first_seen.value)
        )) as contact_point_key,
    from grouped
    full outer join first_seen using (kind, value)
)

select
    kind,
    value,
    contact_point_key,
    first_value(contact_point_key) over (
        partition by customer order by seen_at nulls last, contact_point_key
    ) as customer_key,
from keyed;

create or replace temp table as_of as
with newest as (
    select max(sent_at) as newest_at from messages
    union all
    select greatest(max(opened_at), max(first_reply_at), max(closed_at)) from cases
    union all
    select max(ordered_at) from orders
    union all
    select max(answered_at) from surveys
)
select (max(newest_at)::date + 1)::timestamptz as as_of from newest;

create or replace table fct_communications as
select
    messages.communication_key, messages.conversation_key, points.customer_key, messages.contact_point_key,
    messages.agent_key, messages.source_name, messages.channel, messages.direction, false as is_auto_reply,
    messages.sent_at, messages.language, messages.category, null::varchar as subject_masked,
    case
        when regexp_matches(body, '\d[\d ().-]{5,}') or contains(body, '@') then error('a text that needs masking')
        else body
    end as text_masked,
    null::decimal(18, 3) as duration_seconds, null::json as attributes,
    -- no model has been trained
    null::varchar as told_sentiment, null::varchar as sentiment, null::decimal(9, 6) as sentiment_negative,
    null::decimal(9, 6) as sentiment_neutral, null::decimal(9, 6) as sentiment_positive, null::json as sentiment_words,
    null::integer as sentiment_model_version, null::varchar as sentiment_model_digest,
from messages
inner join points using (contact_point_key);

create or replace table fct_orders as
select
    md5(concat(getvariable('pepper'), '|order|bulk_orders|', orders.order_no)) as order_key, points.customer_key,
    'bulk_orders' as source_name, orders.ordered_at, orders.amount, null::varchar as currency, orders.status,
    null::varchar as store, 0::integer as n_lines, coalesce(orders.status = 'cancelled', false) as is_cancelled,
from orders
inner join points on points.kind = 'crm' and orders.customer_id = points.value;

create or replace temp table conversations as
with

counted as (
    select
        conversation_key,
        min({'sent_at': sent_at, 'communication_key': communication_key, 'category': category, 'language': language,
            'channel': channel, 'source_name': source_name, 'conversation_id': conversation_id}) as opening,
        max(case when agent_key is not null then {'sent_at': sent_at, 'communication_key': communication_key,
            'agent_key': agent_key} end).agent_key as agent_key,
        min(contact_point_key) as contact_point_key,
        count(*) filter (where direction = 'inbound') as n_inbound,
        count(*) filter (where direction = 'outbound') as n_outbound,
        min(sent_at) as first_at,
        min(sent_at) filter (where direction = 'inbound') as first_inbound_at,
        max(sent_at) filter (where direction = 'inbound') as last_inbound_at,
        max(sent_at) filter (where direction = 'outbound') as last_outbound_at,
    from messages
    group by conversation_key
),

replies as (
    select messages.conversation_key, min(messages.sent_at) as first_reply_at,
    from messages
    inner join counted using (conversation_key)
    where messages.direction = 'outbound' and messages.sent_at >= counted.first_inbound_at
    group by messages.conversation_key
),

threads as (
    select
        counted.*,
        replies.first_reply_at,
        case
            when last_outbound_at >= last_inbound_at and last_outbound_at + interval 3 day <= as_of then last_outbound_at
        end as closed_at,
    from counted
    cross join as_of
    left join replies using (conversation_key)
)

select
    threads.conversation_key, points.customer_key, threads.agent_key, threads.opening.source_name as source_name,
    threads.opening.conversation_id as conversation_id, threads.opening.channel as channel,
    case when closed_at is null then 'open' else 'closed' end as status,
    case
        when closed_at is null then 'open'
        when threads.opening.channel = 'chat' and last_inbound_at <= first_inbound_at + interval 4 hour
            then 'resolved_first_time'
        when n_inbound > 1 then 'resolved_later'
        else 'resolved_first_time'
    end as outcome_state,
    threads.opening.category as category, threads.opening.language as language, first_at as opened_at, first_reply_at,
    closed_at, n_inbound::integer as n_inbound, n_outbound::integer as n_outbound,
    (date_diff('millisecond', least(first_inbound_at, first_at), first_reply_at) / 60000)::decimal(18, 3)
        as first_reply_minutes,
    (date_diff('millisecond', first_at, closed_at) / 60000)::decimal(18, 3) as resolution_minutes,
    coalesce(closed_at, greatest(greatest(last_inbound_at, last_outbound_at), first_reply_at), first_at) as occurred_at,
from threads
inner join points using (contact_point_key)
union all
select
    cases.conversation_key, points.customer_key, cases.agent_key, 'bulk_cases', cases.case_no, 'phone', 'closed',
    'resolved_first_time', cases.category, null, cases.opened_at, cases.first_reply_at, cases.closed_at, 0, 0,
    (date_diff('millisecond', cases.opened_at, cases.first_reply_at) / 60000)::decimal(18, 3),
    (date_diff('millisecond', cases.opened_at, cases.closed_at) / 60000)::decimal(18, 3),
    cases.closed_at,
from cases
inner join points on points.kind = 'crm' and cases.customer_id = points.value;

create or replace table fct_survey_responses as
with

named as (
    select
        md5(concat(getvariable('pepper'), '|survey|file|bulk_surveys|', surveys.answer_no)) as survey_response_key,
        conversations.conversation_key, conversations.customer_key, surveys.score, surveys.remark, surveys.answered_at,
        case when conversations.conversation_key is not null then 'conversation_id' end as attached_by,
        'bulk_surveys' as source_name,
    from surveys
    left join conversations on surveys.conversation_id = conversations.conversation_id
    union all
    select
        md5(concat(getvariable('pepper'), '|survey|case|bulk_cases|', cases.case_no)), conversations.conversation_key,
        conversations.customer_key, cases.csat, null, null, 'same_row', 'bulk_cases',
    from cases
    inner join conversations using (conversation_key)
    where cases.csat is not null
)

select
    survey_response_key, conversation_key, customer_key, 'csat' as kind, score,
    ((score - 1) / 4)::decimal(9, 6) as satisfaction, remark as comment_masked, answered_at as responded_at, attached_by,
    source_name,
from named;

create or replace table fct_conversations as
with

satisfactions as (
    select conversation_key, (sum(satisfaction) / nullif(count(satisfaction), 0))::decimal(9, 6) as satisfaction,
    from fct_survey_responses
    group by conversation_key
)

select
    conversations.conversation_key, customer_key, agent_key, source_name, channel, status, outcome_state, category, language,
    opened_at, first_reply_at, closed_at, n_inbound, n_outbound, first_reply_minutes, resolution_minutes,
    null::decimal(18, 3) as handle_seconds, false as is_reopened, satisfactions.satisfaction, null::json as attributes,
from conversations
left join satisfactions using (conversation_key);

create or replace table agg_channel_daily as
with

occurrences as (
    select sent_at as happened_at, channel, customer_key, direction as what, null::decimal(18, 6) as measure
    from fct_communications
    union all
    select opened_at, channel, customer_key, 'opened', first_reply_minutes from conversations
    union all
    select closed_at, channel, customer_key, 'closed', null from conversations
    union all
    select coalesce(surveys.responded_at, conversations.occurred_at), conversations.channel, surveys.customer_key, 'survey',
        surveys.satisfaction
    from fct_survey_responses as surveys
    left join conversations using (conversation_key)
)

select
    happened_at::date as day,
    coalesce(channel, 'unknown') as channel,
    count(*) filter (where what in ('inbound', 'outbound'))::integer as n_communications,
    count(*) filter (where what = 'inbound')::integer as n_inbound,
    count(*) filter (where what = 'outbound')::integer as n_outbound,
    0 as n_sentiment_scored, 0 as n_sentiment_negative, 0 as n_sentiment_positive, null::decimal(9, 6) as negative_share,
    count(*) filter (where what = 'opened')::integer as n_conversations_opened,
    count(*) filter (where what = 'closed')::integer as n_conversations_closed,
    count(measure) filter (where what = 'survey')::integer as n_survey_responses,
    coalesce(sum(measure) filter (where what = 'survey'), 0)::decimal(18, 6) as satisfaction_sum,
    (median(measure) filter (where what = 'opened'))::decimal(18, 3) as median_first_reply_minutes,
    count(distinct customer_key)::integer as n_customers,
from occurrences
where happened_at is not null
group by day, coalesce(channel, 'unknown');
