with

settings as (
    select coalesce(max(value) filter (where key = 'matter_window_hours'), '72')::integer as window_hours,
    from {{ source('ops', 'settings') }}
),

conversations as (
    select conversation_key, conversation_id, customer_key from {{ ref('int_conversations') }}
),

named as (
    select distinct conversation_key, case_reference from {{ ref('int_communications') }}
    where case_reference is not null
),

-- A number counts where one conversation alone has it.
numbers as (
    select lower(conversation_id) as case_number, min(conversation_key) as conversation_key,
    from conversations
    where lower(conversation_id) in (select case_reference from named)
    group by lower(conversation_id)
    having count(*) = 1
),

-- Whoever names a case goes on with it, unless it is another customer's.
by_number as (
    select distinct named.conversation_key, numbers.conversation_key as joined_to, 'case_number' as evidence,
    from named
    inner join numbers on named.case_reference = numbers.case_number
    inner join conversations as ours on named.conversation_key = ours.conversation_key
    inner join conversations as theirs on numbers.conversation_key = theirs.conversation_key
    where
        named.conversation_key <> numbers.conversation_key
        and coalesce(ours.customer_key = theirs.customer_key, true)
),

-- The same customer about the same need, soon after the last word of what came before.
by_need as (
    select distinct needs.conversation_key, needs.key_before as joined_to, 'customer_and_need' as evidence,
    from {{ ref('int_needs_in_order') }} as needs
    cross join settings
    where
        needs.need <> 'unknown' and settings.window_hours > 0
        and needs.opened_at <= needs.last_word_at + to_hours(settings.window_hours)
),

final as (
    select * from by_number
    union all
    select * from by_need
)

select * from final
