-- EmailMessage -> communications, in the conversation of their case.
with

parsed as (
    select
        row_number,
        record,
        from_json(record, '{
            "Id": "VARCHAR", "ParentId": "VARCHAR", "RelatedToId": "VARCHAR", "Incoming": "VARCHAR",
            "FromAddress": "VARCHAR", "FromName": "VARCHAR", "ToAddress": "VARCHAR", "Subject": "VARCHAR",
            "TextBody": "VARCHAR", "HtmlBody": "VARCHAR", "MessageDate": "VARCHAR", "CreatedById": "VARCHAR",
            "ReplyToEmailMessageId": "VARCHAR", "SystemModstamp": "VARCHAR", "IsDeleted": "VARCHAR"
        }') as mail,
    from records
),

final as (
    select
        row_number,
        -- both bodies again would double what is kept
        json_merge_patch(record, '{"TextBody": null, "HtmlBody": null}') as record,
        mail.Id as communication_id,
        case
            when starts_with(mail.ParentId, '500') then mail.ParentId
            when starts_with(mail.RelatedToId, '500') then mail.RelatedToId
        end as conversation_id,
        mail.ReplyToEmailMessageId as in_reply_to,
        'email' as channel,
        case when mail.Incoming = 'true' then 'inbound' else 'outbound' end as direction,
        case when mail.Incoming = 'true' then mail.FromName end as customer_name,
        mail.FromAddress as from_address,
        first_address(mail.ToAddress) as to_address,
        -- who received a mail for the company is its robot, not an agent
        case when mail.Incoming <> 'true' then mail.CreatedById end as agent,
        mail.MessageDate as sent_at,
        mail.Subject as subject,
        coalesce(nullif(trim(mail.TextBody), ''), plain_text(mail.HtmlBody)) as body,
        mail.SystemModstamp as updated_at,
        mail.IsDeleted as is_deleted,
    from parsed
)

select * from final
