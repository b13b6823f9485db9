{% set entities = [
    ('stg_conversations', 'channel', 'opened_at'),
    ('stg_customers', 'null::varchar', 'created_at'),
    ('stg_survey_responses', 'null::varchar', 'responded_at'),
    ('stg_orders', 'null::varchar', 'ordered_at'),
    ('stg_order_lines', 'null::varchar', 'ordered_at'),
    ('stg_events', 'null::varchar', 'occurred_at'),
    ('stg_follow_ups', 'null::varchar', 'approved_at'),
] %}

with

mentions as (
    select identity_key, source_name, channel, email, phone, handle, customer_id, customer_name, sent_at as seen_at,
    from {{ ref('int_messages') }}
    {% for model, channel, seen_at in entities %}
        union all
        select
            {{ identity_key(channel) }} as identity_key,
            source_name, {{ channel }}, email, phone, handle, customer_id, customer_name,
            {{ seen_at }} as seen_at,
        from {{ ref(model) }}
    {% endfor %}
),

sets as (
    select
        identity_key,
        -- the key is made of these, so there is one of each
        min(source_name) as source_name,
        min(channel) as channel,
        min(email) as email,
        min(phone) as phone,
        min(handle) as handle,
        min(customer_id) as customer_id,
        max(customer_name) as customer_name,
        min(seen_at) as first_seen_at,
        max(seen_at) as last_seen_at,
    from mentions
    where identity_key is not null
    group by identity_key
),

own as (
    select * from {{ ref('int_own_identities') }}
),

final as (
    select
        sets.identity_key,
        sets.source_name,
        sets.channel,
        case
            when
                not list_contains(own.emails, sets.email)
                and not list_contains(own.domains, split_part(sets.email, '@', 2))
                then sets.email
        end as email,
        case
            when not list_contains(own.phones, regexp_replace(sets.phone, '\D', '', 'g')) then sets.phone
        end as phone,
        coalesce(sources.region, settings.default_region) as region,
        case
            when not list_contains(own.handles, sets.handle)
                then
                    case
                        when starts_with(sets.handle, 'sip:') then ''
                        when coalesce(sets.channel, sources.channel) = 'chat' then 'chat:'
                        else 'social:'
                    end
                    || sets.handle
        end as handle,
        -- a source that names the writer of a message names agents too
        case when list_contains(own.agents, lower(sets.customer_id)) then null else sets.customer_id end as customer_id,
        coalesce(sources.id_namespace, 'crm') as id_namespace,
        sets.customer_name,
        sets.first_seen_at,
        sets.last_seen_at,
    from sets
    cross join own
    cross join {{ ref('int_as_of') }} as settings
    left join {{ source('ops', 'sources') }} as sources using (source_name)
)

select * from final
