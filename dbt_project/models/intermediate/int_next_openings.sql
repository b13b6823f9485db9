{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='customer_hash',
    post_hook='{{ forget_gone() }}'
) }}

with

versioned as materialized (
    select customer_hash, row_version from {{ ref('int_customer_versions') }}
),

{{ changed('customer_hash', has_several=true) }},

conversations as (
    select conversation_hash, conversation_key, customer_hash, customer_key, category, is_inbound, opened_at,
    from {{ ref('int_conversations') }}
    {{ of_changed_customers() }}
    where customer_key is not null
),

described as (
    select
        conversations.conversation_hash,
        lead(opened_at) over (
            partition by conversations.customer_hash, category, is_inbound order by opened_at, conversation_key
        ) as next_opened_at,
        conversations.customer_hash,
        versioned.row_version,
    from conversations
    left join versioned on conversations.customer_hash = versioned.customer_hash
),

final as (
    select * from described
    {{ gone('customer_hash', has_several=true) }}
)

select * from final
