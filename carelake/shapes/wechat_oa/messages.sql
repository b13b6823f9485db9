-- Customer service records -> communications.
--
-- A record has no id: who, when, which way and what make one, so the same words twice in one second are one message.
-- Codes below 2000 tell of sessions: begun, taken, handed on, closed.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "openid": "VARCHAR", "opercode": "VARCHAR", "text": "VARCHAR", "time": "VARCHAR", "worker": "VARCHAR"
        }') as line,
    from records
),

told as (
    select * from parsed
    where line.opercode is null or line.opercode not in ('1000', '1001', '1002', '1003', '1004', '1005')
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"text": null}') as record,
        case
            when line.openid is not null and line.time is not null
                then md5(concat_ws(chr(31), line.openid, line.time, line.opercode, line.text))
        end as communication_id,
        'chat' as channel,
        case line.opercode when '2002' then 'outbound' when '2003' then 'inbound' when '2001' then 'inbound' end as direction,
        line.openid as handle,
        nullif(trim(line.worker), '') as agent,
        line.time as sent_at,
        nullif(trim(line.text), '') as body,
        line.time as updated_at,
    from told
)

select * from final
