{% set reply = "(re|aw|antw|sv|vs|odp|r|rif|ynt|回复|回覆|答复|答覆|返信)\\s*([\\[(]\\d+[\\])])?\\s*[:：]" %}
{% set forward = "(fw|fwd|wg|tr|rv|i|转发|轉寄|転送)\\s*[:：]" %}

with recursive

messages as (
    select
        source_name,
        message_id,
        conversation_id,
        in_reply_to,
        message_references,
        channel,
        email,
        phone,
        subject,
        sent_at,
    from {{ ref('int_messages') }}
),

-- A reply names the messages before it, oldest first. The oldest one that is here is its parent; of
-- those that are not here, the oldest: other replies name it too.
named as (
    select
        source_name,
        message_id,
        unnest(list_append(coalesce(message_references, []), in_reply_to)) as named_id,
        generate_subscripts(list_append(coalesce(message_references, []), in_reply_to), 1) as place,
        len(coalesce(message_references, [])) as n_references,
    from messages
    where conversation_id is null and (in_reply_to is not null or len(message_references) > 0)
),

parents as (
    select
        named.source_name,
        named.message_id,
        arg_min(named.named_id, (known.message_id is null, named.place)) as parent_id,
        case
            when arg_min(named.place <= named.n_references, (known.message_id is null, named.place)) then 'references'
            else 'in_reply_to'
        end as evidence,
    from named
    left join messages as known
        on named.source_name = known.source_name and named.named_id = known.message_id
    where named.named_id is not null and named.named_id <> named.message_id
    group by named.source_name, named.message_id
),

-- Programs that answer without naming what they answer leave the subject only. It counts between the
-- same two sides, of a mail that says it is a reply, and for thirty days.
mails as (
    select
        messages.source_name,
        messages.message_id,
        messages.sent_at,
        messages.email,
        lower(trim(regexp_replace(messages.subject, '^(\s*({{ reply }}|{{ forward }}))+', '', 'i'))) as topic,
        regexp_matches(messages.subject, '^\s*{{ reply }}', 'i') as is_reply,
        parents.message_id is not null as is_placed,
    from messages
    left join parents on messages.source_name = parents.source_name and messages.message_id = parents.message_id
    where
        messages.channel = 'email' and messages.conversation_id is null and messages.email is not null
        and messages.subject is not null and messages.sent_at is not null
),

followed as (
    select
        *,
        is_placed or not is_reply or coalesce(
            sent_at > lag(sent_at) over topic_in_order + interval 30 day, true
        ) as is_start,
    from mails
    where topic <> ''
    window topic_in_order as (partition by source_name, email, topic order by sent_at, message_id)
),

runs as (
    select
        *,
        count(*) filter (where is_start) over (
            partition by source_name, email, topic order by sent_at, message_id
        ) as run,
    from followed
),

same_subject as (
    select
        source_name,
        message_id,
        first_value(message_id) over (
            partition by source_name, email, topic, run order by sent_at, message_id
        ) as parent_id,
        'subject' as evidence,
    from runs
    qualify not is_start
),

-- WhatsApp knows no conversations, only messages between two numbers: a day of silence ends one.
talks as (
    select
        messages.source_name,
        messages.message_id,
        messages.phone,
        messages.sent_at,
        coalesce(messages.sent_at > lag(messages.sent_at) over in_order + interval 24 hour, true) as is_start,
    from messages
    inner join {{ source('ops', 'sources') }} as sources using (source_name)
    where
        sources.kind = 'whatsapp' and messages.channel = 'chat' and messages.conversation_id is null
        and messages.phone is not null and messages.sent_at is not null
    window in_order as (
        partition by messages.source_name, messages.phone order by messages.sent_at, messages.message_id
    )
),

talk_runs as (
    select
        *,
        count(*) filter (where is_start) over (
            partition by source_name, phone order by sent_at, message_id
        ) as run,
    from talks
),

same_talk as (
    select
        source_name,
        message_id,
        first_value(message_id) over (
            partition by source_name, phone, run order by sent_at, message_id
        ) as parent_id,
        'silence' as evidence,
    from talk_runs
    qualify not is_start
),

replies as (
    select * from parents
    union all
    select * from same_subject
    union all
    select * from same_talk
),

-- Each reply climbs to the message it answers, until that one answers nothing. A ring of replies
-- (a broken export) ends after 500 steps.
climbs (source_name, message_id, root_id, steps) using key (source_name, message_id) as (
    select source_name, message_id, parent_id, 1 from replies
    union
    select climbs.source_name, climbs.message_id, replies.parent_id, climbs.steps + 1
    from climbs
    inner join replies
        on climbs.source_name = replies.source_name and climbs.root_id = replies.message_id
    where climbs.steps < 500
),

-- Few messages begin a thread of several.
roots as (
    select messages.source_name, messages.message_id, messages.conversation_id,
    from messages
    semi join climbs on messages.source_name = climbs.source_name and messages.message_id = climbs.root_id
),

final as (
    select
        climbs.source_name,
        climbs.message_id,
        coalesce(roots.conversation_id, 'thread:' || climbs.root_id) as conversation_id,
        replies.evidence,
    from climbs
    inner join replies
        on climbs.source_name = replies.source_name and climbs.message_id = replies.message_id
    left join roots
        on climbs.source_name = roots.source_name and climbs.root_id = roots.message_id
)

select * from final
