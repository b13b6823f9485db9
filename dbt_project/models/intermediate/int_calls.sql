with

own as (
    select phones from {{ ref('int_own_identities') }}
),

legs as (
    select
        *,
        epoch_us(answered_at) as talk_from_us,
        coalesce(epoch_us(answered_at) + (talk_seconds * 1000000)::bigint, epoch_us(ended_at), epoch_us(answered_at))
            as talk_until_us,
    from {{ ref('int_call_legs') }}
),

-- Legs of one call overlap where both ends are recorded: a second counts once.
talks as (
    select
        source_name,
        call_id,
        agent,
        answered_at,
        hold_seconds,
        leg_number,
        greatest(0, talk_until_us - greatest(talk_from_us, coalesce(max(talk_until_us) over earlier, talk_from_us)))
            as new_us,
    from legs
    where is_talk
    window earlier as (
        partition by source_name, call_id order by talk_from_us, leg_number
        rows between unbounded preceding and 1 preceding
    )
),

talked as (
    select
        source_name,
        call_id,
        min(answered_at) as answered_at,
        arg_max(agent, (answered_at, leg_number)) filter (where agent is not null) as agent,
        (sum(new_us) / 1000000)::decimal(18, 3) as handle_seconds,
        sum(hold_seconds)::decimal(18, 3) as hold_seconds,
    from talks
    group by source_name, call_id
),

summed as (
    select
        source_name,
        call_id,
        arg_min(conversation_id, leg_number) filter (where conversation_id is not null) as conversation_id,
        max(direction) filter (where leg_number = 1) as written_direction,
        arg_min(customer_id, leg_number) filter (where customer_id is not null) as customer_id,
        arg_min(email, leg_number) filter (where email is not null) as email,
        arg_min(phone, leg_number) filter (where phone is not null) as phone,
        arg_min(handle, leg_number) filter (where handle is not null) as handle,
        arg_min(customer_name, leg_number) filter (where customer_name is not null) as customer_name,
        max(from_address) filter (where leg_number = 1) as from_address,
        max(to_address) filter (where leg_number = 1) as to_address,
        arg_min(queue, leg_number) filter (where queue is not null) as queue,
        arg_min(agent, leg_number) filter (where agent is not null) as first_agent,
        bool_or(coalesce(status = 'voicemail', false)) as has_voicemail,
        arg_max(status, leg_number) filter (where status is not null) as last_status,
        min(started_at) as started_at,
        max(coalesce(ended_at, started_at)) as ended_at,
        count(*)::integer as n_legs,
        max(extracted_at) as extracted_at,
        max(attributes) filter (where leg_number = 1) as attributes,
        hash(sum(row_hash), count(*)) as row_hash,
    from legs
    group by source_name, call_id
),

directed as (
    select
        summed.*,
        coalesce(
            written_direction,
            case
                when list_contains(own.phones, nullif(regexp_replace(from_address, '\D', '', 'g'), '')) then 'outbound'
                else 'inbound'
            end
        ) as direction,
    from summed
    cross join own
),

-- The customer's end, as a number or as an address of internet telephony.
addressed as (
    select
        *,
        coalesce(phone, case when direction = 'inbound' then from_address else to_address end) as other_end,
        regexp_extract(lower(other_end), '^<?sips?:([^;>]+)', 1) as sip_address,
        regexp_matches(split_part(sip_address, '@', 1), '^\+?\d{7,15}$') as is_sip_number,
    from directed
    -- two of us talked: nobody's contact
    where direction <> 'internal'
),

final as (
    select
        addressed.source_name,
        addressed.call_id,
        coalesce(addressed.conversation_id, addressed.call_id) as conversation_id,
        addressed.conversation_id is null as is_own_conversation,
        addressed.direction,
        addressed.customer_id,
        addressed.email,
        case
            when addressed.sip_address = '' then addressed.other_end
            when addressed.is_sip_number then split_part(addressed.sip_address, '@', 1)
        end as phone,
        coalesce(
            addressed.handle,
            case
                when addressed.sip_address <> '' and not addressed.is_sip_number then 'sip:' || addressed.sip_address
            end
        ) as handle,
        case
            when addressed.direction = 'inbound' or addressed.written_direction is not null then addressed.customer_name
        end as customer_name,
        -- of a call we made and nobody took, who made it
        coalesce(
            talked.agent,
            case
                when addressed.direction = 'outbound' or talked.answered_at is not null then addressed.first_agent
            end
        ) as agent,
        addressed.queue,
        case
            when talked.answered_at is not null then 'answered'
            when addressed.has_voicemail then 'voicemail'
            when addressed.direction = 'inbound' then 'abandoned'
            when addressed.last_status in {{ unanswered_words() }} then addressed.last_status
            else 'no answer'
        end as status,
        addressed.started_at,
        talked.answered_at,
        addressed.ended_at,
        (
            (epoch_us(coalesce(talked.answered_at, addressed.ended_at)) - epoch_us(addressed.started_at)) / 1000000
        )::decimal(18, 3) as wait_seconds,
        talked.handle_seconds,
        talked.hold_seconds,
        (talked.handle_seconds - coalesce(talked.hold_seconds, 0))::decimal(18, 3) as talk_seconds,
        addressed.n_legs,
        addressed.extracted_at,
        case
            when coalesce(addressed.queue, talked.hold_seconds::varchar) is null then addressed.attributes
            else json_merge_patch(
                coalesce(addressed.attributes, '{}'::json),
                json_object('queue', addressed.queue, 'hold_seconds', talked.hold_seconds::varchar)
            )
        end as attributes,
        addressed.row_hash,
    from addressed
    left join talked using (source_name, call_id)
)

select * from final
