{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='customer_hash',
    post_hook='{{ forget_gone() }}'
) }}

with

rules_version as (
    select coalesce(sum(hash(need, kind, word)), 0) as version from {{ source('ops', 'need_rules') }}
),

versioned as materialized (
    select versions.customer_hash, hash(versions.row_version, rules_version.version) as row_version,
    from {{ ref('int_customer_versions') }} as versions
    cross join rules_version
),

{{ changed('customer_hash', has_several=true) }},

conversations as (
    select conversations.* exclude (row_version)
    from {{ ref('int_conversations') }} as conversations
    {{ of_changed_customers() }}
),

needs as (
    select
        conversations.conversation_hash,
        conversations.conversation_key,
        conversations.customer_key,
        conversations.customer_hash,
        conversations.is_inbound,
        conversations.opened_at,
        conversations.occurred_at,
        unnest(told.needs, recursive := true),
    from {{ ref('int_conversation_needs') }} as told
    inner join conversations using (conversation_hash)
),

-- Few columns go through the windows: they sort all that they are given.
openings as (
    select
        conversation_hash,
        need,
        lead(opened_at) over (
            partition by customer_hash, need, is_inbound order by opened_at, conversation_key
        ) as next_opened_at,
        lag(conversation_key) over so_far as key_before,
        max(occurred_at) over (
            partition by customer_hash, need order by opened_at, conversation_key
            rows between unbounded preceding and 1 preceding
        ) as last_word_at,
    from needs
    where customer_key is not null
    window so_far as (partition by customer_hash, need order by opened_at, conversation_key)
),

described as (
    select
        conversations.conversation_key,
        needs.need,
        needs.evidence,
        conversations.customer_key,
        order_numbers.order_key,
        conversations.channel,
        conversations.is_inbound,
        conversations.opened_at,
        conversations.closed_at,
        case
            when conversations.status = 'open' or conversations.is_reopened then false
            when conversations.customer_key is null or conversations.closed_at is null then null
            else coalesce(openings.next_opened_at > conversations.closed_at + interval 7 day, true)
        end as is_resolved,
        openings.key_before,
        openings.last_word_at,
        conversations.conversation_hash,
        conversations.customer_hash,
        versioned.row_version,
    from needs
    inner join conversations using (conversation_hash)
    left join versioned on conversations.customer_hash = versioned.customer_hash
    left join openings on needs.conversation_hash = openings.conversation_hash and needs.need = openings.need
    left join {{ ref('int_order_numbers') }} as order_numbers on conversations.order_id = order_numbers.order_id
),

final as (
    select * from described
    {{ gone('customer_hash', has_several=true) }}
)

select * from final
