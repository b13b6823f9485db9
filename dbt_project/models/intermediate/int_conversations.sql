{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='conversation_hash',
    post_hook='{{ forget_gone() }}'
) }}

{% set goodbye = "to_minutes(" ~ var('goodbye_minutes') ~ ")" %}

with

settings as (
    select as_of, unanswered_days from {{ ref('int_as_of') }}
),

sources as (
    select source_name, channel from {{ source('ops', 'sources') }}
),

-- A call tells what a case tells: when it was answered, how long it took, and how it ended.
calls as (
    select
        source_name,
        conversation_id,
        customer_id,
        email,
        phone,
        handle,
        agent,
        'phone' as channel,
        status,
        handle_seconds,
        started_at as opened_at,
        case when direction = 'inbound' then answered_at end as first_reply_at,
        case when answered_at is not null then ended_at end as closed_at,
        attributes,
        row_hash,
    from {{ ref('int_calls') }}
    where is_own_conversation
),

said_cases as (
    select * from {{ ref('stg_conversations') }}
    union all by name
    select * from calls
),

written_cases as (
    select
        {{ row_key('conversation', ['source_name', 'conversation_id']) }} as conversation_key,
        {{ identity_key() }} as identity_key,
        *,
    from said_cases
),

cases as (
    select
        written_cases.* exclude (channel),
        coalesce(written_cases.channel, sources.channel) as channel,
        identities.customer_key,
        identities.row_version as identity_version,
        agents.agent_key,
    from written_cases
    left join sources on written_cases.source_name = sources.source_name
    left join {{ ref('int_identities') }} as identities on written_cases.identity_key = identities.identity_key
    left join {{ ref('int_agent_aliases') }} as agents on lower(written_cases.agent) = agents.alias
),

messages as (
    select * from {{ ref('int_conversation_messages') }}
),

united as not materialized (
    select
        conversation_key,
        coalesce(messages.conversation_hash, hash(cases.source_name, cases.conversation_id)) as conversation_hash,
        hash(cases.row_hash, cases.identity_version, cases.agent_key, cases.channel) as case_version,
        messages.row_version as messages_version,
        coalesce(cases.source_name, messages.source_name) as source_name,
        coalesce(cases.conversation_id, messages.conversation_id) as conversation_id,
        coalesce(cases.customer_key, messages.customer_key) as customer_key,
        coalesce(cases.agent_key, messages.agent_key) as agent_key,
        coalesce(cases.channel, messages.channel) as channel,
        coalesce(cases.category, messages.category) as category,
        messages.language,
        coalesce(cases.status, case when cases.conversation_key is null then messages.last_status end) as status_word,
        coalesce(cases.opened_at, messages.first_at) as opened_at,
        cases.closed_at as closed_at_source,
        cases.survey_at,
        cases.survey_score is not null as has_case_survey,
        cases.order_id,
        coalesce(cases.handle_seconds, messages.talk_seconds) as handle_seconds,
        coalesce(cases.attributes, messages.attributes) as attributes,
        coalesce(messages.n_inbound, 0) as n_inbound,
        coalesce(messages.n_outbound, 0) as n_outbound,
        messages.first_at,
        messages.first_ended_at,
        case
            -- a goodbye soon after the end leaves it ended
            when
                cases.status is null
                and coalesce(messages.last_inbound_at <= messages.last_ended_at + {{ goodbye }}, true)
                then messages.last_ended_at
        end as ended_at,
        messages.last_at,
        messages.first_inbound_at,
        messages.last_inbound_at,
        messages.last_outbound_at,
        coalesce(messages.first_direction = 'inbound', true) as is_inbound,
        coalesce(cases.first_reply_at, messages.first_reply_at) as replied_at,
        coalesce(messages.has_survey, false) as has_message_survey,
        messages.talk_seconds,
    from cases
    full outer join messages using (conversation_key)
),

-- A call or a visit is answered while it happens, unless its status says nobody took it.
spoken as not materialized (
    select
        united.*,
        settings.as_of,
        settings.unanswered_days,
        channel in ('phone', 'in_person')
        and coalesce(status_word, '') not in {{ unanswered_words() }}
        and coalesce(talk_seconds, handle_seconds, 1) > 0 as is_answered_call,
        greatest(last_outbound_at, replied_at) as our_last_at,
    from united
    cross join settings
),

-- Time passes without a word, and a conversation closes by that: so it is part of the version.
numbered as not materialized (
    select
        *,
        our_last_at + to_days(unanswered_days) <= as_of as is_silent,
        hash(
            case_version, messages_version, unanswered_days, our_last_at + to_days(unanswered_days) <= as_of
        ) as row_version,
    from spoken
),

versioned as materialized (
    select conversation_hash, row_version from numbered
),

{{ changed('conversation_hash') }},

chosen as (
    select *
    from numbered
    {% if is_incremental() %}semi join changed using (conversation_hash){% endif %}
),

judged as (
    select
        chosen.*,
        case
            when coalesce(closed_at_source, ended_at) is not null then coalesce(closed_at_source, ended_at)
            when status_word in {{ open_words() }} then null
            when status_word in {{ closed_words() }} then coalesce(greatest(last_at, replied_at, opened_at), survey_at)
            when
                -- called back later, it did not end before that
                is_answered_call
                then
                    greatest(coalesce(last_at, opened_at), replied_at)
                    + to_seconds(coalesce(talk_seconds, handle_seconds, 0)::double)
            when
                our_last_at >= coalesce(last_inbound_at, our_last_at)
                and is_silent
                then our_last_at
        end as closed_at,
        coalesce(closed_at_source, ended_at) is not null
        or status_word in {{ closed_words() }}
        or (
            coalesce(status_word, '') not in {{ open_words() }}
            and (has_case_survey or has_message_survey or is_answered_call and coalesce(last_at, opened_at) is null)
        ) as is_closed_anyway,
        coalesce(closed_at_source, first_ended_at) as first_closed_at,
    from chosen
),

-- Reopened: the customer wrote again after the close, or after our silence had closed it.
writings as (
    select
        messages.conversation_key,
        messages.sent_at,
        messages.direction,
        judged.first_closed_at,
        judged.status_word,
        judged.unanswered_days,
        lag(messages.direction) over in_order as direction_before,
        lag(messages.sent_at) over in_order as sent_before,
    from {{ ref('int_communications') }} as messages
    inner join judged using (conversation_key)
    where
        not messages.is_auto_reply
        and judged.n_inbound > 1
        and (
            judged.last_inbound_at > judged.first_closed_at + {{ goodbye }}
            or (
                judged.first_closed_at is null
                and judged.last_inbound_at > judged.first_at + to_days(judged.unanswered_days)
            )
        )
    window in_order as (
        partition by messages.conversation_key order by messages.sent_at, messages.communication_key
    )
),

reopenings as (
    select
        conversation_key,
        min(sent_at) as reopened_at,
        min(sent_before) as silent_from,
    from writings
    where
        direction = 'inbound'
        and (
            sent_at > first_closed_at + {{ goodbye }}
            or (
                first_closed_at is null
                and coalesce(status_word, '') not in {{ open_words() }}
                and direction_before = 'outbound'
                and sent_at > sent_before + to_days(unanswered_days)
            )
        )
    group by conversation_key
),

closed as (
    select
        judged.*,
        reopenings.reopened_at,
        coalesce(first_closed_at, reopenings.silent_from, closed_at) as closed_first_at,
        case when closed_at is not null or is_closed_anyway then 'closed' else 'open' end as status,
        case
            when replied_at is not null then replied_at
            when is_answered_call and is_inbound then coalesce(first_inbound_at, opened_at)
        end as first_reply_at,
        reopenings.reopened_at is not null
        or coalesce(status_word in ('reopened', '重新打开'), false) as is_reopened,
    from judged
    left join reopenings using (conversation_key)
),

described as (
    select
        conversation_key,
        customer_key,
        agent_key,
        source_name,
        conversation_id,
        order_id,
        channel,
        status,
        case
            when status = 'open' then 'open'
            when is_reopened then 'reopened'
            -- a chat is many messages; it is one contact while it stays within hours
            when channel = 'chat' and last_inbound_at <= first_inbound_at + interval 4 hour then 'resolved_first_time'
            when n_inbound > 1 then 'resolved_later'
            else 'resolved_first_time'
        end as outcome_state,
        category,
        language,
        is_inbound,
        is_reopened,
        n_inbound,
        n_outbound,
        {{ minutes_between('least(first_inbound_at, opened_at)', 'first_reply_at') }} as first_reply_minutes,
        {{ minutes_between('opened_at', 'closed_at') }} as resolution_minutes,
        handle_seconds::decimal(18, 3) as handle_seconds,
        opened_at,
        first_inbound_at,
        first_reply_at,
        closed_at,
        closed_first_at as first_closed_at,
        reopened_at,
        last_at,
        coalesce(closed_at, greatest(last_at, replied_at), opened_at) as occurred_at,
        attributes,
        conversation_hash,
        -- where nobody knows the customer, it stands for itself
        coalesce({{ customer_hash() }}, conversation_hash) as customer_hash,
        messages_version,
        row_version,
    from closed
),

final as (
    select * from described
    {{ gone('conversation_hash') }}
)

select * from final
