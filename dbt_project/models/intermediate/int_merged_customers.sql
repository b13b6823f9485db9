-- Ids that a system merged into others, each with the id that counts now.
with recursive

merges as (
    select
        coalesce(sources.id_namespace, 'crm') as id_namespace,
        customers.customer_id,
        -- the newest word counts
        arg_max(merged_into, (coalesce(updated_at, extracted_at), extracted_at, file_name, row_number)) as merged_into,
    from {{ ref('stg_customers') }} as customers
    left join {{ source('ops', 'sources') }} as sources using (source_name)
    where customers.merged_into is not null and customers.merged_into <> customers.customer_id
    group by id_namespace, customers.customer_id
),

-- What was merged may be merged again. A ring, which no system should make, ends after 100 steps.
climbs (id_namespace, customer_id, customer_id_now, steps) using key (id_namespace, customer_id) as (
    select id_namespace, customer_id, merged_into, 1 from merges
    union
    select climbs.id_namespace, climbs.customer_id, merges.merged_into, climbs.steps + 1
    from climbs
    inner join merges on climbs.id_namespace = merges.id_namespace and climbs.customer_id_now = merges.customer_id
    where climbs.steps < 100
),

final as (
    select id_namespace, customer_id, customer_id_now,
    from climbs
    where customer_id <> customer_id_now
)

select * from final
