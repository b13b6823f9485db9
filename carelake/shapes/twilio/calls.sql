-- A call of Twilio is one leg -> call_legs; the first leg of a call has no parent.
--
-- Who a customer is stands in the first leg, who of us took the call in those it made: all legs of a call are looked at
-- together. A call of which a leg is not over makes no row yet; it comes again.
with

read as (
    select
        row_number,
        record,
        from_json(record, '{
            "sid": "VARCHAR", "parent_call_sid": "VARCHAR", "direction": "VARCHAR", "status": "VARCHAR", "from": "VARCHAR",
            "to": "VARCHAR", "duration": "VARCHAR", "caller_name": "VARCHAR", "answered_by": "VARCHAR",
            "start_time": "VARCHAR", "end_time": "VARCHAR", "date_updated": "VARCHAR"
        }') as leg,
    from records
),

legs as (
    select
        row_number,
        record,
        leg,
        nullif(leg.sid, '') as sid,
        nullif(leg.parent_call_sid, '') as parent_sid,
        coalesce(nullif(leg.parent_call_sid, ''), leg.sid) as call_sid,
        lower(leg.status) as status,
        lower(leg.direction) as direction,
        -- WhatsApp's calls carry its name before the number; a number that is withheld is a word on the keys
        regexp_replace(trim(leg.from), '^whatsapp:', '') as caller,
        nullif(regexp_replace(trim(leg.to), '^whatsapp:', ''), '') as callee,
        regexp_full_match(
            trim(leg.from),
            '(?i)|\+?(266696687|7378742833|86282452253|2562533|8656696|7748283)|anonymous|restricted|unavailable|blocked|unknown|private'
        ) as is_withheld,
        time_of_mail(leg.start_time) as started,
        time_of_mail(leg.end_time) as ended,
        coalesce(try_cast(leg.duration as integer), 0) as seconds,
        lower(leg.answered_by) as answered_by,
    from read
),

known as (
    select
        * exclude (caller),
        case when not is_withheld then caller end as caller,
        coalesce(regexp_full_match(caller, $agents), false) as is_caller_ours,
        coalesce(regexp_full_match(callee, $agents), false) as is_callee_ours,
        coalesce(direction in ('inbound', 'trunking-originating'), false) as is_inwards,
        coalesce(status = 'completed' and seconds > 0, false) as is_answered,
        -- a listing that was begun anew may hold a leg twice, as it was and as it ended
        coalesce(status in ('queued', 'initiated', 'ringing', 'in-progress'), false) as is_running,
        not bool_or(coalesce(status not in ('queued', 'initiated', 'ringing', 'in-progress'), true))
            over (partition by sid) as is_not_over,
    from legs
),

joined as (
    select
        *,
        bool_or(is_not_over) over in_call as is_call_running,
        bool_or(parent_sid is null) over in_call as has_first,
        bool_or(is_inwards) filter (where parent_sid is null) over in_call as is_first_inwards,
        bool_or(is_caller_ours) filter (where parent_sid is null) over in_call as is_first_caller_ours,
        bool_or(is_callee_ours) filter (where parent_sid is null) over in_call as is_first_callee_ours,
        any_value(caller) filter (where parent_sid is null) over in_call as first_caller,
        any_value(callee) filter (where parent_sid is null) over in_call as first_callee,
        bool_or(is_answered) filter (where parent_sid is not null) over in_call as is_taken,
        arg_min(callee, (started, sid)) filter (where parent_sid is not null and not is_callee_ours) over in_call
            as dialled,
    from known
    window in_call as (partition by call_sid)
),

directed as (
    select
        *,
        case
            when is_first_inwards and not is_first_caller_ours then 'inbound'
            when not is_first_inwards and not is_first_callee_ours then 'outbound'
            -- one of us was on the line first
            when has_first and dialled is not null then 'outbound'
            when has_first then 'internal'
            when is_callee_ours then 'inbound'
        end as call_direction,
        case
            when not has_first and is_callee_ours then caller
            when not has_first then null
            when is_first_inwards and not is_first_caller_ours then first_caller
            when not is_first_inwards and not is_first_callee_ours then first_callee
            else dialled
        end as customer,
        case
            when parent_sid is not null and is_first_inwards and not is_first_caller_ours then callee
            when parent_sid is not null and not is_first_inwards and not is_first_callee_ours then callee
            when is_first_inwards and is_first_caller_ours then first_caller
            when is_first_callee_ours then first_callee
            when is_first_caller_ours then first_caller
            when not has_first and is_callee_ours then callee
        end as agent,
    from joined
    where not (is_running or is_call_running)
),

judged as (
    select
        *,
        case
            when is_answered and (starts_with(answered_by, 'machine') or answered_by = 'fax') then 'voicemail'
            -- Twilio itself answered, and nobody came
            when
                is_answered and parent_sid is null and direction = 'inbound' and call_direction = 'inbound'
                and not coalesce(is_taken, false) and $joined_by = 'dial'
                then 'abandoned'
            when is_answered then 'answered'
            when status in ('completed', 'no-answer', 'canceled') then 'no answer'
            else status
        end as outcome,
    from directed
),

final as (
    select
        row_number,
        record,
        -- longer than its parent's: of two that began in one second the parent is the first
        case when parent_sid is null then sid else parent_sid || '-' || sid end as leg_id,
        sid as call_id,
        parent_sid as linked_leg_id,
        call_direction as direction,
        case when not starts_with(customer, 'client:') then customer end as phone,
        case when starts_with(customer, 'client:') then customer end as handle,
        case
            when parent_sid is null and call_direction = 'inbound' and regexp_matches(leg.caller_name, '\p{L}')
                then leg.caller_name
        end as customer_name,
        case when not (starts_with(caller, 'client:') and not is_caller_ours) then caller end as from_address,
        case when not (starts_with(callee, 'client:') and not is_callee_ours) then callee end as to_address,
        agent,
        outcome as status,
        coalesce(strftime(started, '%Y-%m-%dT%H:%M:%SZ'), leg.start_time) as started_at,
        -- it does not write when somebody answered, only how long they were connected
        case
            when outcome = 'answered' then strftime(greatest(started, ended - to_seconds(seconds)), '%Y-%m-%dT%H:%M:%SZ')
        end as answered_at,
        coalesce(strftime(ended, '%Y-%m-%dT%H:%M:%SZ'), leg.end_time) as ended_at,
        case when outcome = 'answered' then seconds::varchar end as talk_seconds,
        -- a leg without its parent is never newer than the same leg with it
        case
            when has_first then coalesce(strftime(date_updated, '%Y-%m-%dT%H:%M:%SZ'), leg.date_updated)
            else '1970-01-01T00:00:00Z'
        end as updated_at,
    from judged, lateral (select time_of_mail(leg.date_updated) as date_updated)
)

select * from final
