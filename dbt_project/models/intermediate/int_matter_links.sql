with

settings as (
    select coalesce(max(value) filter (where key = 'matter_window_hours'), '72')::integer as window_hours,
    from {{ source('ops', 'settings') }}
),

conversations as (
    select conversation_key, conversation_id, customer_key, opened_at, occurred_at,
    from {{ ref('int_conversations') }}
),

-- A number counts where one conversation alone has it.
numbers as (
    select lower(conversation_id) as case_number, min(conversation_key) as conversation_key,
    from conversations
    group by lower(conversation_id)
    having count(*) = 1
),

-- Whoever names a case goes on with it, unless it is another customer's.
by_number as (
    select distinct messages.conversation_key, numbers.conversation_key as joined_to, 'case_number' as evidence,
    from {{ ref('int_communications') }} as messages
    inner join numbers on messages.case_reference = numbers.case_number
    inner join conversations as ours on messages.conversation_key = ours.conversation_key
    inner join conversations as theirs on numbers.conversation_key = theirs.conversation_key
    where
        messages.conversation_key <> numbers.conversation_key
        and coalesce(ours.customer_key = theirs.customer_key, true)
),

asked as (
    select
        needs.conversation_key,
        needs.need,
        conversations.customer_key,
        conversations.opened_at,
        conversations.occurred_at,
    from (select conversation_key, unnest(needs, recursive := true) from {{ ref('int_conversation_needs') }}) as needs
    inner join conversations using (conversation_key)
    where needs.need <> 'unknown' and conversations.customer_key is not null and conversations.opened_at is not null
),

-- The same customer about the same need, soon after the last word of what came before.
followed as (
    select
        conversation_key,
        opened_at,
        lag(conversation_key) over so_far as joined_to,
        max(occurred_at) over (
            partition by customer_key, need order by opened_at, conversation_key
            rows between unbounded preceding and 1 preceding
        ) as last_word_at,
    from asked
    window so_far as (partition by customer_key, need order by opened_at, conversation_key)
),

by_need as (
    select distinct followed.conversation_key, followed.joined_to, 'customer_and_need' as evidence,
    from followed
    cross join settings
    where settings.window_hours > 0 and followed.opened_at <= followed.last_word_at + to_hours(settings.window_hours)
),

final as (
    select * from by_number
    union all
    select * from by_need
)

select * from final
