{% set attributes = [
    'customer_name', 'age', 'gender', 'city', 'country', 'language', 'preferred_channel', 'agent_key'
] %}

with

customers as (
    select * from {{ ref('int_customers') }}
),

-- Only records there still are: what its source deleted leaves the past as well.
records as (
    select written.source_name, written.customer_id, identities.customer_key,
    from (
        select source_name, customer_id, {{ identity_key('null::varchar') }} as identity_key,
        from {{ ref('stg_customers') }}
    ) as written
    inner join {{ ref('int_identities') }} as identities using (identity_key)
    where identities.customer_key is not null
),

-- Every version of them.
versions as (
    select
        records.customer_key,
        versions.source_name,
        versions.customer_id,
        versions.customer_name,
        versions.age,
        versions.gender,
        versions.city,
        versions.country,
        versions.language,
        versions.preferred_channel,
        agents.agent_key,
        versions.do_not_contact,
        -- merged into another, or deleted until it came back, a record says nothing of its customer
        versions.merged_into is null and versions.is_deleted is not true as is_telling,
        hash(
            {% for attribute in attributes -%}
                {{ attribute }},
            {% endfor -%}
            do_not_contact,
            is_telling
        ) as said,
        versions.created_at,
        versions.updated_at,
        versions.extracted_at,
        versions.file_name,
        versions.row_number,
        versions.batch_id,
    from {{ ref('stg_customers__classified') }} as versions
    inner join records using (source_name, customer_id)
    left join {{ ref('int_agent_aliases') }} as agents on lower(versions.agent) = agents.alias
    where versions.disposition in ('staged', 'superseded', 'duplicate')
),

-- Most customers never change, and need no more than what is known of them now.
changing as (
    select customer_key,
    from versions
    group by customer_key
    having min(said) <> max(said)
),

numbered as (
    select
        versions.*,
        row_number() over (
            partition by customer_key
            order by updated_at nulls first, extracted_at, file_name, row_number, source_name, batch_id
        ) as recency,
    from versions
    semi join changing using (customer_key)
),

-- A version is known from its change on, where the source tells of one. Where it does not, the first one has always
-- been so, and a later one is known from its extract.
dated as (
    select
        *,
        case
            when updated_at is not null then least(updated_at, extracted_at)
            when row_number() over (partition by source_name, customer_id order by recency) > 1 then extracted_at
            else coalesce(created_at, timestamptz '-infinity')
        end as known_at,
    from numbered
),

-- A version whose successor counts from an earlier moment, or the same, was in force at no time: it was corrected.
in_force as (
    select *,
    from dated
    qualify
        coalesce(
            known_at < min(known_at) over (
                partition by source_name, customer_id
                order by recency
                rows between 1 following and unbounded following
            ),
            true
        )
),

moments as (
    select distinct customer_key, known_at as valid_from,
    from in_force
),

-- At each of them, what each record of the customer said.
asked as (
    select moments.customer_key, moments.valid_from, records.source_name, records.customer_id,
    from moments
    inner join records using (customer_key)
),

told as (
    select asked.valid_from, in_force.*,
    from asked
    asof inner join in_force
        on
            asked.source_name = in_force.source_name
            and asked.customer_id = in_force.customer_id
            and asked.valid_from >= in_force.known_at
),

-- Each attribute comes from the newest record that has it, as it does for the customer of now.
described as (
    select
        customer_key,
        valid_from,
        {% for attribute in attributes -%}
            arg_max({{ attribute }}, recency) filter (where is_telling and {{ attribute }} is not null)
                as {{ attribute }},
        {% endfor -%}
        coalesce(bool_or(do_not_contact) filter (where is_telling), false) as do_not_contact,
    from told
    group by customer_key, valid_from
),

shown as (
    select
        customers.customer_key,
        described.valid_from,
        -- who has a name from elsewhere only had it all along
        {{ mask_name('coalesce(described.customer_name, customers.customer_name)') }} as name_masked,
        described.age,
        described.gender,
        described.city,
        described.country,
        described.language,
        described.preferred_channel,
        described.do_not_contact,
        described.agent_key as owner_agent_key,
    from customers
    inner join described using (customer_key)
    union all
    select
        customer_key,
        null as valid_from,
        {{ mask_name('customer_name') }} as name_masked,
        age,
        gender,
        city,
        country,
        language,
        preferred_channel,
        do_not_contact,
        owner_agent_key,
    from customers
    anti join changing using (customer_key)
),

-- A record may change without its customer doing so.
compared as (
    select
        *,
        row(*columns(* exclude (valid_from))) as now_shown,
        lag(now_shown) over (partition by customer_key order by valid_from) as shown_before,
    from shown
),

placed as (
    select
        *,
        row_number() over versions = 1 as is_first,
        lead(valid_from) over versions as valid_to,
    from compared
    where now_shown is distinct from shown_before
    window versions as (partition by customer_key order by valid_from)
),

final as (
    select
        placed.customer_key,
        -- what came before the first record is told by it
        case
            when not placed.is_first then placed.valid_from
            when placed.valid_to is null then customers.first_seen_at
            else least(customers.first_seen_at, nullif(placed.valid_from, timestamptz '-infinity'))
        end as valid_from,
        placed.valid_to,
        placed.valid_to is null as is_current,
        placed.name_masked,
        placed.age,
        placed.gender,
        placed.city,
        placed.country,
        placed.language,
        placed.preferred_channel,
        placed.do_not_contact,
        placed.owner_agent_key,
    from placed
    inner join customers using (customer_key)
)

select * from final
