-- A record of FreeSWITCH is one leg: one channel, which may name the one it was joined to.
with

read as (
    select
        row_number,
        nullif(trim(uuid), '') as uuid,
        coalesce(
            nullif(trim(originating_leg_uuid), ''), nullif(trim(bleg_uuid), ''), nullif(trim(bridge_uuid), ''),
            nullif(trim(signal_bond), '')
        ) as linked_uuid,
        nullif(trim(bleg_uuid), '') as bleg_uuid,
        nullif(trim(caller_id_name), '') as caller_id_name,
        nullif(trim(caller_id_number), '') as caller,
        nullif(trim(destination_number), '') as callee,
        upper(trim(hangup_cause)) as hangup_cause,
        lower(trim(last_app)) as last_app,
        nullif(trim(cc_queue), '') as queue,
        nullif(trim(cc_agent), '') as cc_agent,
        nullif(trim(hold_accum_seconds), '') as hold_seconds,
        billsec,
        duration,
        try_cast(duration as integer) - try_cast(billsec as integer) as ringing_seconds,
        start_stamp,
        nullif(trim(answer_stamp), '') as answer_stamp,
        end_stamp,
        -- a table program that saved the file again wrote 2020/2/10 22:41 and lost the seconds
        try_strptime(start_stamp, ['%Y-%m-%d %H:%M:%S', '%Y/%m/%d %H:%M', '%Y/%m/%d %H:%M:%S', '%Y-%m-%d %H:%M'])
            as start_time,
        try_strptime(answer_stamp, ['%Y-%m-%d %H:%M:%S', '%Y/%m/%d %H:%M', '%Y/%m/%d %H:%M:%S', '%Y-%m-%d %H:%M'])
            as answer_time,
        try_strptime(end_stamp, ['%Y-%m-%d %H:%M:%S', '%Y/%m/%d %H:%M', '%Y/%m/%d %H:%M:%S', '%Y-%m-%d %H:%M'])
            as end_time,
        regexp_matches(start_stamp, ' \d+:\d\d$') as has_lost_seconds,
    from records
),

known as (
    select
        read.*,
        case
            when year(answer_time) <= 1970 then null
            when has_lost_seconds and answer_stamp is not null then start_time + to_seconds(ringing_seconds)
            else answer_time
        end as answered_time,
        coalesce(regexp_full_match(caller, extensions), false) as is_caller_ours,
        coalesce(regexp_full_match(callee, extensions), false) as is_callee_ours,
        -- *97 and park+1 are services of the exchange
        coalesce(callee like '*%' or not regexp_matches(callee, '[0-9@]'), true) as is_service,
    from read
    cross join settings
),

directed as (
    select
        *,
        case
            when is_caller_ours and (is_callee_ours or is_service) then 'internal'
            when is_caller_ours then 'outbound'
            when is_callee_ours or is_service then 'inbound'
        end as direction,
        answered_time is not null or (answer_stamp is not null and answer_time is null) as is_answered,
    from known
),

final as (
    select
        row_number,
        uuid as leg_id,
        uuid as call_id,
        linked_uuid as linked_leg_id,
        direction,
        case
            when direction is distinct from 'outbound' and regexp_matches(caller_id_name, '\p{L}') then caller_id_name
        end as customer_name,
        caller as from_address,
        callee as to_address,
        coalesce(
            -- mod_callcenter names agents as 1001@pbx.example
            split_part(cc_agent, '@', 1),
            case
                when direction = 'outbound' then caller
                when is_callee_ours then callee
            end
        ) as agent,
        queue,
        case
            when last_app = 'voicemail' or callee ilike 'voicemail%' then 'voicemail'
            when is_answered and bleg_uuid is null and direction is distinct from 'outbound' then 'unbridged'
            when is_answered then 'answered'
            when hangup_cause = 'USER_BUSY' then 'busy'
            when
                hangup_cause in ('NO_ANSWER', 'NO_USER_RESPONSE', 'ORIGINATOR_CANCEL', 'ALLOTTED_TIMEOUT', 'NORMAL_CLEARING')
                then 'no answer'
            else 'failed'
        end as status,
        coalesce(strftime(start_time, '%Y-%m-%d %H:%M:%S'), start_stamp) as started_at,
        case when is_answered then coalesce(strftime(answered_time, '%Y-%m-%d %H:%M:%S'), answer_stamp) end
            as answered_at,
        case
            when has_lost_seconds
                then strftime(start_time + to_seconds(try_cast(duration as integer)), '%Y-%m-%d %H:%M:%S')
            else coalesce(strftime(end_time, '%Y-%m-%d %H:%M:%S'), end_stamp)
        end as ended_at,
        billsec as talk_seconds,
        hold_seconds,
    from directed
)

select * from final
