{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='conversation_hash',
    post_hook='{{ forget_gone() }}'
) }}

with

versioned as materialized (
    select conversation_hash, hash(sum(row_version), count(*)) as row_version,
    from {{ ref('int_communications') }}
    group by conversation_hash
),

{{ changed('conversation_hash') }},

messages as (
    select *
    from {{ ref('int_communications') }}
    {% if is_incremental() %}semi join changed using (conversation_hash){% endif %}
),

counted as (
    select
        conversation_key,
        min(conversation_hash) as conversation_hash,
        hash(sum(row_version), count(*)) as row_version,
        arg_min(
            {
                'source_name': conversation_source,
                'conversation_id': conversation_id,
                'channel': channel,
                'direction': direction,
                'category': category,
                'language': language,
                'attributes': attributes
            },
            { 'sent_at': coalesce(sent_at, 'infinity'::timestamptz), 'communication_key': communication_key }
        ) as opening,
        max({ 'sent_at': sent_at, 'communication_key': communication_key, 'status': status })
        filter (where status is not null) as closing,
        min(sent_at) filter (where status in {{ closed_words() }}) as first_ended_at,
        max(sent_at) filter (where status in {{ closed_words() }}) as last_ended_at,
        (
            max({ 'sent_at': sent_at, 'communication_key': communication_key, 'agent_key': agent_key })
            filter (where agent_key is not null)
        ).agent_key as agent_key,
        count(*) filter (where direction = 'inbound' and not is_auto_reply) as n_inbound,
        count(*) filter (where direction = 'outbound' and not is_auto_reply) as n_outbound,
        min(sent_at) as first_at,
        max(sent_at) as last_at,
        min(sent_at) filter (where direction = 'inbound' and not is_auto_reply) as first_inbound_at,
        max(sent_at) filter (where direction = 'inbound' and not is_auto_reply) as last_inbound_at,
        max(sent_at) filter (where direction = 'outbound' and not is_auto_reply) as last_outbound_at,
        list(sent_at) filter (where direction = 'outbound' and not is_auto_reply) as our_times,
        sum(duration_seconds) as talk_seconds,
        bool_or(survey_score is not null) as has_survey,
        case when min(customer_key) = max(customer_key) then min(customer_key) end as customer_key,
    from messages
    group by conversation_key
),

summed as (
    select
        counted.* exclude (opening, closing, our_times),
        counted.opening.source_name,
        counted.opening.conversation_id,
        counted.opening.channel,
        counted.opening.category,
        counted.opening.language,
        counted.opening.attributes,
        counted.closing.status as last_status,
        counted.opening.direction as first_direction,
        -- nobody can have answered before there was a question
        list_min(list_filter(our_times, lambda moment: moment >= first_inbound_at)) as first_reply_at,
    from counted
),

final as (
    select * from summed
    {{ gone('conversation_hash') }}
)

select * from final
