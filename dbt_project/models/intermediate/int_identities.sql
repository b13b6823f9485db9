with

mentions as (
    select
        mentions.identity_key,
        mentions.kind,
        points.contact_point_key,
        points.customer_key,
    from {{ ref('int_identity_points') }} as mentions
    inner join {{ ref('int_contact_points') }} as points using (kind, value)
),

keys as (
    select
        identity_key,
        min(customer_key) as customer_key,
        min(customer_key) = max(customer_key) as is_one,
        max(contact_point_key) filter (where kind = 'email') as email_key,
        max(contact_point_key) filter (where kind = 'phone') as phone_key,
        max(contact_point_key) filter (where kind = 'handle') as handle_key,
        max(contact_point_key) filter (where kind = 'crm') as crm_key,
        max(customer_key) filter (where kind = 'email') as email_customer,
        max(customer_key) filter (where kind = 'phone') as phone_customer,
        max(customer_key) filter (where kind = 'handle') as handle_customer,
        max(customer_key) filter (where kind = 'crm') as crm_customer,
    from mentions
    group by identity_key
),

-- The point a message came through is the one of its channel; else the most telling one.
chosen as (
    select
        keys.identity_key,
        -- a record may carry what belongs to two: then its id decides, or the point it came through
        case
            when keys.is_one then keys.customer_key
            else coalesce(
                keys.crm_customer,
                case
                    when sets.channel = 'phone' then keys.phone_customer
                    when sets.channel in ('chat', 'social') then keys.handle_customer
                end,
                keys.email_customer, keys.phone_customer, keys.handle_customer
            )
        end as customer_key,
        coalesce(
            case
                when sets.channel = 'phone' then keys.phone_key
                when sets.channel in ('chat', 'social') then keys.handle_key
            end,
            keys.email_key, keys.phone_key, keys.handle_key, keys.crm_key
        ) as contact_point_key,
    from keys
    inner join {{ ref('int_identity_sets') }} as sets using (identity_key)
),

-- Numbers beside the keys: who compares or counts needs no text.
final as (
    select
        identity_key,
        customer_key,
        contact_point_key,
        {{ customer_hash() }} as customer_hash,
        hash(customer_key, contact_point_key) as row_version,
    from chosen
)

select * from final
