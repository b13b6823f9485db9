-- Members who answer -> agents.
with

parsed as (
    select row_number, record, from_json(record, '{"userid": "VARCHAR", "name": "VARCHAR", "email": "VARCHAR", "biz_mail": "VARCHAR"}') as person,
    from records
),

final as (
    select
        row_number,
        json_merge_patch(record, '{"errcode": null, "errmsg": null}') as record,
        person.userid as agent_id,
        person.name as agent_name,
        coalesce(nullif(person.biz_mail, ''), nullif(person.email, '')) as email,
    from parsed
)

select * from final
