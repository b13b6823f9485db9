-- Customer service accounts -> agents.
with

parsed as (
    select row_number, record, from_json(record, '{"kf_account": "VARCHAR", "kf_nick": "VARCHAR"}') as person,
    from records
),

final as (
    select
        row_number,
        record,
        person.kf_account as agent_id,
        person.kf_nick as agent_name,
    from parsed
)

select * from final
