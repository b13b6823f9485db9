-- One row per customer who may be contacted: the first of the reasons that hold for them, the
-- channel they can be reached on, and the owner. Reads followup_matches and followup_rules.
create or replace temporary table followup_chosen as
with kept as (
    select
        follow_ups.follow_up_id,
        follow_ups.customer_key,
        follow_ups.status = 'approved' as is_open,
        follow_ups.status in ('done', 'dropped')
            and coalesce(completions.completed_at, follow_ups.due_at)
            >= $as_of::timestamptz - to_days($cool_down_days::integer) as is_cooling,
    from care.follow_ups as follow_ups
    left join followup_completions as completions
        on follow_ups.follow_up_id = completions.follow_up_id
    where follow_ups.status != 'proposed'
),

kept_customers as (
    select
        customer_key,
        bool_or(is_open) as has_open,
        bool_or(is_cooling) as is_cooling,
    from kept
    group by customer_key
),

identified as (
    select
        matches.*,
        rules.code,
        rules.priority,
        sha256(concat_ws(
            '|', matches.customer_key, rules.code, coalesce(matches.conversation_key, '')
        ))[:32] as follow_up_id,
    from followup_matches as matches
    inner join followup_rules as rules on matches.position = rules.position
),

first_reasons as (
    select *
    from identified
    where follow_up_id not in (select kept.follow_up_id from kept)
    qualify row_number() over (
        partition by customer_key
        order by
            priority,
            urgency desc nulls last,
            position,
            conversation_recency,
            conversation_key
    ) = 1
),

reachable as (
    select
        customer_key,
        bool_or(kind = 'phone') as by_phone,
        bool_or(kind = 'email') as by_email,
        bool_or(kind = 'handle') as by_handle,
        bool_or(kind = 'crm') as by_crm,
    from marts.dim_contact_points
    where customer_key is not null and not coalesce(is_shared, false)
    group by customer_key
),

-- Wishes in order; the first on which the customer has an address of their own is taken. Someone
-- known by a CRM id alone is answered where they last wrote or called: the CRM has the address.
wishes as (
    select
        reasons.*,
        coalesce(reachable.by_phone, false) as by_phone,
        coalesce(reachable.by_email, false) as by_email,
        coalesce(reachable.by_handle, false) as by_handle,
        coalesce(reachable.by_crm, false) as by_crm,
        [
            case rules.channel
                when 'preferred' then reasons.preferred_channel
                when 'conversation' then reasons.channel
                else rules.channel
            end,
            reasons.preferred_channel,
            reasons.channel,
            'phone',
            'email',
            'chat',
            'social'
        ] as channels,
        case rules.owner
            when 'agent' then coalesce(reasons.agent_name, reasons.owner_agent_name, $fallback_owner)
            when 'owner_agent'
                then coalesce(reasons.owner_agent_name, reasons.agent_name, $fallback_owner)
            else rules.owner
        end as owner,
    from first_reasons as reasons
    inner join followup_rules as rules on reasons.position = rules.position
    left join reachable on reasons.customer_key = reachable.customer_key
),

final as (
    select
        wishes.* exclude (channels, by_phone, by_email, by_handle, by_crm),
        coalesce(
            list_filter(
                wishes.channels,
                lambda wish: (wish = 'phone' and by_phone)
                or (wish = 'email' and by_email)
                or (wish in ('chat', 'social') and by_handle)
            )[1],
            case
                when by_crm then coalesce(
                    list_filter(
                        [wishes.channel, wishes.preferred_channel], lambda wish: wish != 'in_person'
                    )[1],
                    'phone'
                )
            end
        ) as contact_channel,
        coalesce(kept_customers.has_open, false) as has_open,
        coalesce(kept_customers.is_cooling, false) as is_cooling,
    from wishes
    left join kept_customers on wishes.customer_key = kept_customers.customer_key
)

select * from final
