-- A record of Asterisk is one leg: one channel, joined to one other at most.
with

read as (
    select
        row_number,
        nullif(trim(uniqueid), '') as uniqueid,
        nullif(trim(linkedid), '') as linkedid,
        nullif(trim(sequence), '') as sequence,
        nullif(trim(src), '') as src,
        nullif(trim(dst), '') as dst,
        nullif(trim(dstchannel), '') as dstchannel,
        upper(trim(disposition)) as disposition,
        lower(trim(lastapp)) as lastapp,
        lastdata,
        start,
        nullif(nullif(trim(answer), ''), '0000-00-00 00:00:00') as answer,
        "end",
        billsec,
        hold_seconds,
        -- "Anna" <+8613800138000>
        nullif(trim(regexp_extract(clid, '^\s*"*([^"<]*)"*\s*<', 1)), '') as caller_name,
        nullif(trim(regexp_extract(clid, '<([^>]*)>', 1)), '') as caller_number,
        -- PJSIP/1001-0000002a and Local/1001@from-queue-00000001;2 are both 1001
        regexp_extract(
            channel, '^(?:SIP|PJSIP|IAX2|SCCP|Local|Agent)/([^@]+?)(?:@.*)?(?:-[0-9a-fA-F]{4,})?(?:;[12])?$', 1
        ) as peer,
        regexp_extract(
            dstchannel, '^(?:SIP|PJSIP|IAX2|SCCP|Local|Agent)/([^@]+?)(?:@.*)?(?:-[0-9a-fA-F]{4,})?(?:;[12])?$', 1
        ) as other_peer,
        md5(concat_ws(
            chr(31), start, answer, "end", channel, dstchannel, src, dst, clid, duration, billsec, disposition, lastapp,
            lastdata, uniqueid, linkedid
        )) as content,
    from records
),

known as (
    select
        read.*,
        coalesce(src, caller_number) as caller,
        coalesce(regexp_full_match(src, extensions), false) as is_caller_ours,
        coalesce(regexp_full_match(peer, extensions), false) as is_channel_ours,
        coalesce(regexp_full_match(other_peer, extensions), false) as is_other_channel_ours,
        coalesce(regexp_full_match(dst, extensions), false) as is_callee_ours,
        -- *97 and s are services of the exchange
        coalesce(dst like '*%' or not regexp_matches(dst, '[0-9@]'), true) as is_service,
    from read
    cross join settings
),

directed as (
    select
        *,
        case
            when (is_caller_ours or is_channel_ours) and (is_callee_ours or is_service) then 'internal'
            when is_caller_ours or is_channel_ours then 'outbound'
            when is_callee_ours or is_other_channel_ours or is_service then 'inbound'
        end as direction,
    from known
),

final as (
    select
        row_number,
        case
            when uniqueid is null then content
            else uniqueid || '-' || coalesce(lpad(sequence, 10, '0'), left(content, 12))
        end as leg_id,
        coalesce(linkedid, uniqueid) as call_id,
        direction,
        -- of an outbound call the name is our own; many exchanges repeat the number as the name
        case when direction is distinct from 'outbound' and regexp_matches(caller_name, '\p{L}') then caller_name end
            as customer_name,
        caller as from_address,
        dst as to_address,
        case
            when direction = 'outbound' and is_caller_ours then src
            when direction = 'outbound' then peer
            when is_other_channel_ours then other_peer
            -- a queue's number is nobody's
            when is_callee_ours and lastapp is distinct from 'queue' then dst
        end as agent,
        case when lastapp = 'queue' then nullif(trim(split_part(lastdata, ',', 1)), '') end as queue,
        case
            when lastapp in ('voicemail', 'voicemailmain') then 'voicemail'
            -- a menu or a queue answered, and nobody came
            when disposition = 'ANSWERED' and dstchannel is null and direction is distinct from 'outbound' then 'abandoned'
            else lower(disposition)
        end as status,
        start as started_at,
        case when disposition = 'ANSWERED' then answer end as answered_at,
        "end" as ended_at,
        billsec as talk_seconds,
        hold_seconds,
    from directed
)

select * from final
