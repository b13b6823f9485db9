-- Few conversations are ever on hold: these are worked out anew each time, from every version of a case and
-- every message that names a status.
with

settings as (
    select as_of from {{ ref('int_as_of') }}
),

held_case_ids as (
    select distinct source_name, conversation_id
    from {{ ref('stg_conversations__classified') }}
    where status in {{ on_hold_words() }}
),

held_conversations as (
    select {{ row_key('conversation', ['source_name', 'conversation_id']) }} as conversation_key,
    from held_case_ids
    union
    select conversation_key from {{ ref('int_communications') }}
    where status in {{ on_hold_words() }}
),

said as (
    select
        {{ row_key('conversation', ['versions.source_name', 'versions.conversation_id']) }} as conversation_key,
        epoch_ms(versions.updated_at) as at_ms,
        versions.status,
    from {{ ref('stg_conversations__classified') }} as versions
    semi join held_case_ids
        on
            versions.source_name = held_case_ids.source_name
            and versions.conversation_id = held_case_ids.conversation_id
    where versions.disposition in ('staged', 'superseded', 'duplicate')
    union
    select messages.conversation_key, epoch_ms(messages.sent_at), messages.status
    from {{ ref('int_communications') }} as messages
    semi join held_conversations using (conversation_key)
),

status_times as (
    select
        said.conversation_key,
        said.at_ms,
        said.status,
        coalesce(
            lead(said.at_ms) over (partition by said.conversation_key order by said.at_ms, said.status),
            epoch_ms(conversations.closed_at),
            epoch_ms(settings.as_of)
        ) as until_ms,
    from said
    inner join {{ ref('int_conversations') }} as conversations using (conversation_key)
    cross join settings
    where said.at_ms is not null and said.status is not null
),

final as (
    select
        status_times.conversation_key,
        sum(status_times.until_ms - status_times.at_ms)::bigint as on_hold_ms,
        sum(
            {{ business_ms('status_times.until_ms', 'until_hours') }} - ({{ business_ms('status_times.at_ms') }})
        )::bigint
            as on_hold_business_ms,
    from status_times
    asof left join {{ ref('int_business_time') }} as hours on status_times.at_ms >= hours.opens_ms
    asof left join {{ ref('int_business_time') }} as until_hours on status_times.until_ms >= until_hours.opens_ms
    where status_times.status in {{ on_hold_words() }} and status_times.until_ms > status_times.at_ms
    group by status_times.conversation_key
)

select * from final
