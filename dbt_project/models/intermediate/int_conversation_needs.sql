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

meanings as (
    select
        word,
        kind = 'category' as is_category,
        list(distinct need) as needs,
    from rules
    group by word, is_category
),

-- One row: a join with the rules would gather the needs of all conversations at once, which takes gigabytes.
dictionary as (
    select
        rules_version.version,
        map_from_entries(list({ 'key': word, 'value': needs }) filter (where is_category)) as by_category,
        map_from_entries(list({ 'key': word, 'value': needs }) filter (where not is_category)) as by_keyword,
    from rules_version
    left join meanings on true
    group by rules_version.version
),

numbered as not materialized (
    select
        conversations.conversation_key,
        conversations.conversation_hash,
        lower(conversations.category) as category,
        texts.text,
        dictionary.by_category,
        dictionary.by_keyword,
        hash(conversations.row_version, texts.row_version, dictionary.version) as row_version,
    from {{ ref('int_conversations') }} as conversations
    cross join dictionary
    left join {{ ref('int_conversation_texts') }} as texts using (conversation_hash)
),

versioned as materialized (
    select conversation_hash, row_version from numbered
),

{{ changed('conversation_hash') }},

-- All keywords are one pattern, so that a text is gone through once.
read_out as (
    select
        * exclude (category, text, by_category, by_keyword),
        coalesce(map_extract_value(by_category, category), []) as from_category,
        list_transform(
            list_distinct(regexp_extract_all(lower(text), getvariable('need_pattern'))),
            lambda word: map_extract_value(by_keyword, word)
        ) as from_keywords,
    from numbered
    {% if is_incremental() %}semi join changed using (conversation_hash){% endif %}
),

-- What a source says goes before what is read out of a text.
listed as (
    select
        * exclude (from_category, from_keywords),
        list_sort(list_concat(
            list_transform(from_category, lambda need: { 'need': need, 'evidence': 'category' }),
            list_transform(
                list_filter(
                    list_distinct(flatten(from_keywords)), lambda need: not list_contains(from_category, need)
                ),
                lambda need: { 'need': need, 'evidence': 'keyword' }
            )
        )) as needs,
    from read_out
),

described as (
    select
        conversation_key,
        case when len(needs) > 0 then needs else [{ 'need': 'unknown', 'evidence': null }] end as needs,
        conversation_hash,
        row_version,
    from listed
),

final as (
    select * from described
    {{ gone('conversation_hash') }}
)

select * from final
