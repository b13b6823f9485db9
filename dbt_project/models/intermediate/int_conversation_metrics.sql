{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='conversation_hash',
    post_hook='{{ forget_gone() }}'
) }}

{% set goodbye = var('goodbye_minutes') * 60000 %}

with

settings as (
    select as_of, epoch_ms(as_of) as as_of_ms from {{ ref('int_as_of') }}
),

holds as (
    select * from {{ ref('int_holds') }}
),

-- Who talked when in a call that was handed on.
call_stations as materialized (
    select
        messages.conversation_hash,
        messages.message_hash,
        epoch_ms(talks.answered_at) as at_ms,
        talks.agent_key,
    from {{ ref('int_call_agents') }} as talks
    inner join {{ ref('int_communications') }} as messages
        on
            talks.source_name = messages.source_name
            and talks.call_id = messages.message_id
            and messages.channel = 'phone'
),

call_hand_offs as (
    select conversation_hash, sum(hash(message_hash, at_ms, agent_key)) as row_version,
    from call_stations
    group by conversation_hash
),

-- What is open goes on waiting: so the moment looked at is part of its version.
versioned as materialized (
    select
        conversations.conversation_hash,
        hash(
            conversations.row_version, holds.on_hold_ms, holds.on_hold_business_ms, call_hand_offs.row_version,
            case when conversations.status = 'open' then settings.as_of end
        ) as row_version,
    from {{ ref('int_conversations') }} as conversations
    cross join settings
    left join holds using (conversation_key)
    left join call_hand_offs on conversations.conversation_hash = call_hand_offs.conversation_hash
),

{{ changed('conversation_hash') }},

conversations as (
    select
        conversations.* exclude (row_version, attributes),
        epoch_ms(conversations.opened_at) as opened_ms,
        case
            when conversations.is_inbound
                then epoch_ms(least(conversations.first_inbound_at, conversations.opened_at))
        end as asked_ms,
        epoch_ms(conversations.first_reply_at) as first_reply_ms,
        epoch_ms(conversations.first_closed_at) as first_closed_ms,
        epoch_ms(conversations.closed_at) as closed_ms,
        case when conversations.reopened_at > conversations.first_closed_at then epoch_ms(conversations.reopened_at) end
            as reopened_ms,
        case
            when conversations.status = 'open' then settings.as_of_ms
            when conversations.is_reopened then epoch_ms(greatest(conversations.closed_at, conversations.last_at))
            else epoch_ms(coalesce(conversations.closed_at, conversations.last_at, conversations.opened_at))
        end as end_ms,
    from {{ ref('int_conversations') }} as conversations
    cross join settings
    {% if is_incremental() %}semi join changed on conversations.conversation_hash = changed.conversation_hash{% endif %}
),

messages as (
    select
        messages.conversation_hash,
        epoch_ms(messages.sent_at) as at_ms,
        messages.direction = 'inbound' as is_inbound,
        messages.channel = 'phone' and messages.direction = 'inbound' as is_call,
        messages.channel in ('phone', 'in_person') as is_talk,
        is_talk and messages.direction = 'inbound'
        and coalesce(messages.status, '') not in {{ unanswered_words() }}
        and coalesce(messages.duration_seconds, 1) > 0 as is_taken,
        messages.status in {{ closed_words() }} as is_closing,
        messages.agent_key,
        messages.message_hash,
    from {{ ref('int_communications') }} as messages
    {% if is_incremental() %}semi join changed using (conversation_hash){% endif %}
    where not messages.is_auto_reply
),

staffed as (
    select
        conversation_hash,
        count(*) filter (where not is_inbound or is_taken) as n_touches,
        count(*) filter (where is_call) as n_calls_offered,
        count(*) filter (where is_call and is_taken) as n_calls_answered,
        min(agent_key) as an_agent_key,
        min(at_ms) filter (where agent_key is not null) as first_agent_ms,
        min(agent_key) <> max(agent_key) as has_several,
    from messages
    group by conversation_hash
),

several as (
    select conversation_hash from staffed
    where has_several
    union
    select conversation_hash from call_stations
),

taken_turns as (
    select messages.conversation_hash, messages.at_ms, messages.agent_key,
    from messages
    semi join several on messages.conversation_hash = several.conversation_hash
    anti join call_stations on messages.message_hash = call_stations.message_hash
    where messages.agent_key is not null
    union all
    select call_stations.conversation_hash, call_stations.at_ms, call_stations.agent_key,
    from call_stations
    semi join staffed on call_stations.conversation_hash = staffed.conversation_hash
),

stations as (
    select
        conversation_hash,
        agent_key,
        agent_key <> lag(agent_key) over (
            partition by conversation_hash order by at_ms, agent_key
        ) as is_handed_on,
    from taken_turns
),

hand_offs as (
    select
        conversation_hash,
        count(distinct agent_key) as n_agents,
        count(*) filter (where is_handed_on) as n_handoffs,
    from stations
    group by conversation_hash
),

-- Every close that the customer came back after counts once.
closings as (
    select
        messages.conversation_hash,
        messages.at_ms,
        messages.is_inbound,
        max(messages.at_ms) filter (where messages.is_closing) over (
            partition by messages.conversation_hash order by messages.at_ms, messages.is_inbound desc
            rows between unbounded preceding and 1 preceding
        ) as last_closed_ms,
    from messages
    semi join conversations
        on messages.conversation_hash = conversations.conversation_hash and conversations.is_reopened
    where messages.at_ms is not null
),

reopens as (
    select
        conversation_hash,
        count(distinct last_closed_ms) filter (
            where is_inbound and at_ms > last_closed_ms + {{ goodbye }}
        ) as n_reopens,
    from closings
    group by conversation_hash
),

-- Who spoke: 0 the customer, 1 we; 2 nobody waits: it is closed until it is reopened, or both talk to each
-- other; 3 the end. A call that is taken is answered as it comes in, or when the case says so; a case without
-- messages tells of two moments.
spoken as (
    select
        conversation_hash,
        at_ms,
        unnest(case when is_inbound then [0] when is_talk then [1, 2] else [1] end) as kind,
    from messages
    where at_ms is not null
    union all
    select messages.conversation_hash, messages.at_ms, unnest([1, 2])
    from messages
    inner join conversations using (conversation_hash)
    where messages.is_taken and messages.at_ms > conversations.first_reply_ms
    union all
    select
        conversation_hash, first_reply_ms, unnest(case when channel in ('phone', 'in_person') then [1, 2] else [1] end)
    from conversations
    where first_reply_ms is not null
    union all
    select conversation_hash, asked_ms, 0 from conversations
    where asked_ms is not null and n_inbound = 0
),

counted as (
    select spoken.*
    from spoken
    inner join conversations using (conversation_hash)
    where
        spoken.at_ms <= conversations.end_ms
        -- what is written between the close and the reopening is a goodbye, or our note: nobody waits
        and not coalesce(
            spoken.at_ms > conversations.first_closed_ms and spoken.at_ms < conversations.reopened_ms, false
        )
    union all
    select conversation_hash, first_closed_ms, 2 from conversations
    where reopened_ms is not null and first_closed_ms <= end_ms
    union all
    select conversation_hash, end_ms, 3 from conversations
    where end_ms is not null
),

turns as (
    select conversation_hash, at_ms, kind,
    from counted
    qualify kind is distinct from lag(kind) over (partition by conversation_hash order by at_ms, kind)
),

moments as (
    select conversation_hash, at_ms, kind from turns
    union all
    select conversation_hash, asked_ms, 4 from conversations
    where asked_ms is not null
    union all
    select conversation_hash, first_reply_ms, 5 from conversations
    where first_reply_ms is not null
    union all
    select conversation_hash, opened_ms, 6 from conversations
    where opened_ms is not null
    union all
    select conversation_hash, first_closed_ms, 7 from conversations
    where first_closed_ms is not null
    union all
    select conversation_hash, closed_ms, 8 from conversations
    where closed_ms is not null
    union all
    select conversation_hash, first_agent_ms, 9 from staffed
    where first_agent_ms is not null
),

timed as (
    select
        moments.conversation_hash,
        moments.at_ms,
        moments.kind,
        {{ business_ms('moments.at_ms') }} as business_ms,
    from moments
    asof left join {{ ref('int_business_time') }} as hours on moments.at_ms >= hours.opens_ms
),

spans as (
    select
        conversation_hash,
        kind,
        lag(kind) over in_order is not null as is_later,
        lead(kind) over in_order as next_kind,
        lead(at_ms) over in_order - at_ms as ms,
        lead(business_ms) over in_order - business_ms as business_ms,
    from timed
    where kind <= 3
    window in_order as (partition by conversation_hash order by at_ms, kind)
),

waits as (
    select
        conversation_hash,
        case when count(ms) > 0 then coalesce(sum(ms) filter (where kind = 0), 0) end as requester_wait_ms,
        case when count(business_ms) > 0 then coalesce(sum(business_ms) filter (where kind = 0), 0) end
            as requester_wait_business_ms,
        case when count(ms) > 0 then coalesce(sum(ms) filter (where kind = 1), 0) end as agent_wait_ms,
        case when count(business_ms) > 0 then coalesce(sum(business_ms) filter (where kind = 1), 0) end
            as agent_wait_business_ms,
        count(*) filter (where kind = 0 and is_later and next_kind = 1) as n_next_replies,
        sum(ms) filter (where kind = 0 and is_later and next_kind = 1) as next_reply_ms,
        sum(business_ms) filter (where kind = 0 and is_later and next_kind = 1) as next_reply_business_ms,
        max(ms) filter (where kind = 0 and is_later and next_kind = 1) as longest_next_reply_ms,
        max(business_ms) filter (where kind = 0 and is_later and next_kind = 1) as longest_next_reply_business_ms,
        max(ms) filter (where kind = 0 and is_later and next_kind = 3) as unanswered_ms,
        max(business_ms) filter (where kind = 0 and is_later and next_kind = 3) as unanswered_business_ms,
    from spans
    group by conversation_hash
),

marks as (
    select
        conversation_hash,
        max(business_ms) filter (where kind = 3) as end_business,
        max(business_ms) filter (where kind = 4) as asked_business,
        max(business_ms) filter (where kind = 5) as first_reply_business,
        max(business_ms) filter (where kind = 6) as opened_business,
        max(business_ms) filter (where kind = 7) as first_closed_business,
        max(business_ms) filter (where kind = 8) as closed_business,
        max(business_ms) filter (where kind = 9) as first_agent_business,
    from timed
    where kind >= 3
    group by conversation_hash
),

-- A promise in business time is due where as much of it has passed; the calendar read the other way.
promised as (
    select
        conversations.conversation_hash,
        levels.metric,
        levels.within_ms,
        levels.is_business,
        case levels.metric when 'resolution' then conversations.opened_ms else conversations.asked_ms end as from_ms,
        case levels.metric when 'resolution' then marks.opened_business else marks.asked_business end
        + levels.within_ms as due_business,
    from conversations
    inner join {{ ref('int_service_levels') }} as levels
        on
            conversations.channel = levels.channel
            and coalesce(conversations.opened_ms, conversations.asked_ms) >= levels.from_ms
            and coalesce(conversations.opened_ms, conversations.asked_ms) < levels.until_ms
    left join marks using (conversation_hash)
    where conversations.is_inbound
),

opening_hours as (
    select * from {{ ref('int_business_time') }}
    where closes_ms > opens_ms
),

due as (
    select
        promised.conversation_hash,
        max(promised.from_ms + promised.within_ms)
        filter (where promised.metric = 'first_reply' and not promised.is_business) as first_reply_due_ms,
        max(hours.opens_ms + promised.due_business - hours.ms_before)
        filter (where promised.metric = 'first_reply' and promised.is_business) as first_reply_due_business_ms,
        max(promised.from_ms + promised.within_ms)
        filter (where promised.metric = 'resolution' and not promised.is_business) as resolution_due_ms,
        max(hours.opens_ms + promised.due_business - hours.ms_before)
        filter (where promised.metric = 'resolution' and promised.is_business) as resolution_due_business_ms,
        max(promised.within_ms) filter (where promised.metric = 'next_reply') as next_reply_within_ms,
        bool_or(promised.is_business) filter (where promised.metric = 'next_reply') as is_next_reply_business,
    from promised
    asof left join opening_hours as hours on promised.due_business > hours.ms_before
    group by promised.conversation_hash
),

described as (
    select
        conversations.conversation_key,
        conversations.customer_key,
        coalesce(conversations.agent_key, staffed.an_agent_key) as agent_key,
        conversations.source_name,
        conversations.channel,
        conversations.category,
        conversations.status,
        conversations.outcome_state,
        conversations.is_inbound,
        conversations.opened_at,
        conversations.first_reply_at,
        conversations.closed_at,
        conversations.first_closed_at,
        conversations.reopened_at,
        conversations.asked_ms,
        {{ as_minutes('conversations.first_reply_ms - conversations.asked_ms') }} as first_reply_minutes,
        {{ as_minutes('marks.first_reply_business - marks.asked_business') }} as first_reply_business_minutes,
        coalesce(waits.n_next_replies, 0)::integer as n_next_replies,
        {{ as_minutes('waits.next_reply_ms') }} as next_reply_minutes,
        {{ as_minutes('waits.next_reply_business_ms') }} as next_reply_business_minutes,
        {{ as_minutes('waits.longest_next_reply_ms') }} as longest_next_reply_minutes,
        {{ as_minutes('waits.requester_wait_ms') }} as requester_wait_minutes,
        {{ as_minutes('waits.requester_wait_business_ms') }} as requester_wait_business_minutes,
        {{ as_minutes('waits.agent_wait_ms') }} as agent_wait_minutes,
        {{ as_minutes('waits.agent_wait_business_ms') }} as agent_wait_business_minutes,
        {{ as_minutes('holds.on_hold_ms') }} as on_hold_minutes,
        {{ as_minutes('holds.on_hold_business_ms') }} as on_hold_business_minutes,
        {{ as_minutes('conversations.first_closed_ms - conversations.opened_ms') }} as first_resolution_minutes,
        {{ as_minutes('marks.first_closed_business - marks.opened_business') }} as first_resolution_business_minutes,
        {{ as_minutes('conversations.closed_ms - conversations.opened_ms') }} as full_resolution_minutes,
        {{ as_minutes('marks.closed_business - marks.opened_business') }} as full_resolution_business_minutes,
        case
            when staffed.first_agent_ms is not null
                then {{ as_minutes('greatest(staffed.first_agent_ms - conversations.opened_ms, 0)') }}
            when conversations.agent_key is not null
                then {{ as_minutes('conversations.first_reply_ms - conversations.opened_ms') }}
            when conversations.status = 'open'
                then {{ as_minutes('greatest(conversations.end_ms - conversations.opened_ms, 0)') }}
        end as unassigned_minutes,
        case
            when staffed.first_agent_ms is not null
                then {{ as_minutes('greatest(marks.first_agent_business - marks.opened_business, 0)') }}
            when conversations.agent_key is not null
                then {{ as_minutes('marks.first_reply_business - marks.opened_business') }}
            when conversations.status = 'open'
                then {{ as_minutes('greatest(marks.end_business - marks.opened_business, 0)') }}
        end as unassigned_business_minutes,
        case when conversations.is_reopened then greatest(coalesce(reopens.n_reopens, 0), 1) else 0 end::integer
            as n_reopens,
        coalesce(hand_offs.n_agents, (coalesce(conversations.agent_key, staffed.an_agent_key) is not null)::integer)
        ::integer as n_agents,
        coalesce(hand_offs.n_handoffs, 0)::integer as n_handoffs,
        -- a case without messages was touched where it was answered
        coalesce(staffed.n_touches, (conversations.first_reply_at is not null)::integer)::integer as n_touches,
        case
            when conversations.channel = 'phone' and conversations.is_inbound
                then coalesce(nullif(staffed.n_calls_offered, 0), 1)
        end::integer as n_calls_offered,
        case
            when conversations.channel = 'phone' and conversations.is_inbound
                then
                    case
                        when staffed.n_calls_offered > 0
                            then staffed.n_calls_answered
                        else (conversations.first_reply_at is not null)::integer
                    end
        end::integer as n_calls_answered,
        conversations.handle_seconds,
        make_timestamp(coalesce(due.first_reply_due_ms, due.first_reply_due_business_ms) * 1000) at time zone 'UTC'
            as first_reply_due_at,
        make_timestamp(coalesce(due.resolution_due_ms, due.resolution_due_business_ms) * 1000) at time zone 'UTC'
            as resolution_due_at,
        case
            when due.next_reply_within_ms is null then null
            when
                case
                    when due.is_next_reply_business
                        then greatest(
                            waits.longest_next_reply_business_ms,
                            case when conversations.status = 'open' then waits.unanswered_business_ms end
                        )
                    else greatest(
                        waits.longest_next_reply_ms,
                        case when conversations.status = 'open' then waits.unanswered_ms end
                    )
                end > due.next_reply_within_ms
                then 'breach'
            when conversations.status = 'open' and waits.unanswered_ms is not null then 'active'
            when waits.n_next_replies > 0 then 'hit'
        end as next_reply_sla,
        conversations.conversation_hash,
        versioned.row_version,
    from conversations
    inner join versioned using (conversation_hash)
    left join holds using (conversation_key)
    left join staffed using (conversation_hash)
    left join hand_offs using (conversation_hash)
    left join reopens using (conversation_hash)
    left join waits using (conversation_hash)
    left join marks using (conversation_hash)
    left join due using (conversation_hash)
),

final as (
    select * from described
    {{ gone('conversation_hash') }}
)

select * from final
