{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='conversation_hash',
    post_hook='{{ forget_gone() }}'
) }}

with

rules as (
    select need, kind, word from {{ source('ops', 'need_rules') }}
),

rules_version as (
    select coalesce(sum(hash(need, kind, word)), 0) as version from rules
),

versioned as materialized (
    select
        conversations.conversation_hash,
        hash(conversations.row_version, texts.row_version, rules_version.version) as row_version,
    from {{ ref('int_conversations') }} as conversations
    cross join rules_version
    left join {{ ref('int_conversation_texts') }} as texts using (conversation_key)
),

{{ changed('conversation_hash') }},

conversations as (
    select conversations.conversation_key, conversations.conversation_hash, lower(conversations.category) as category,
    from {{ ref('int_conversations') }} as conversations
    {% if is_incremental() %}semi join changed on conversations.conversation_hash = changed.conversation_hash{% endif %}
),

-- All keywords are one pattern, so that a text is gone through once.
written as (
    select
        conversations.conversation_hash,
        unnest(list_distinct(regexp_extract_all(lower(texts.text), getvariable('need_pattern')))) as word,
    from conversations
    inner join {{ ref('int_conversation_texts') }} as texts using (conversation_key)
),

matched as (
    select conversations.conversation_hash, rules.need, 'category' as evidence
    from conversations
    inner join rules on conversations.category = rules.word and rules.kind = 'category'
    union
    select written.conversation_hash, rules.need, 'keyword'
    from written
    inner join rules on written.word = rules.word and rules.kind in ('en', 'zh')
),

gathered as (
    -- 'category' comes before 'keyword': what a source says goes before what is read out of a text
    select conversation_hash, need, min(evidence) as evidence,
    from matched
    group by conversation_hash, need
),

listed as (
    select conversation_hash, list_sort(list({ 'need': need, 'evidence': evidence })) as needs,
    from gathered
    group by conversation_hash
),

described as (
    select
        conversations.conversation_key,
        coalesce(listed.needs, [{ 'need': 'unknown', 'evidence': null }]) as needs,
        conversations.conversation_hash,
        versioned.row_version,
    from conversations
    inner join versioned using (conversation_hash)
    left join listed using (conversation_hash)
),

final as (
    select * from described
    {{ gone('conversation_hash') }}
)

select * from final
