with

conversations as (
    select conversation_key, conversation_hash, customer_hash, order_id, row_version,
    from {{ ref('int_conversations') }}
),

surveys as (
    select
        survey_response_key,
        conversation_key,
        customer_hash,
        hash(survey_response_key, kind, score, satisfaction, comment, responded_at) as row_version,
    from {{ ref('int_survey_responses') }}
),

order_numbers as (
    select order_id, order_key from {{ ref('int_order_numbers') }}
),

customer_rows as (
    select * from {{ ref('int_customer_rows') }}
),

told as (
    select customer_hash, row_version from conversations
    union all
    select customer_hash, hash('survey', row_version) from surveys
    where customer_hash is not null
    union all
    -- who answers may be another than whose conversation it is
    select conversations.customer_hash, hash('answer', surveys.row_version)
    from surveys
    inner join conversations using (conversation_key)
    union all
    select customer_hash, hash('order', order_key, ordered_at, amount, is_cancelled)
    from {{ ref('int_orders') }}
    where customer_hash is not null
    union all
    select customer_hash, hash('orders revised', counts_from, amount, n_orders) from {{ ref('int_order_revisions') }}
    union all
    select customer_hash, hash('surveys revised', counts_from, satisfaction, n_surveys)
    from {{ ref('int_survey_revisions') }}
    union all
    select conversations.customer_hash, hash('number', conversations.conversation_hash, order_numbers.order_key)
    from conversations
    inner join order_numbers using (order_id)
    union all
    select
        customer_rows.customer_hash,
        hash(
            'person', versions.age, versions.gender, versions.updated_at, versions.extracted_at, versions.file_name,
            versions.row_number, versions.source_name, versions.batch_id
        )
    from {{ ref('stg_customers__classified') }} as versions
    inner join customer_rows
        on versions.source_name = customer_rows.source_name and versions.customer_id = customer_rows.customer_id
    where versions.disposition in ('staged', 'superseded')
),

final as (
    select customer_hash, hash(sum(row_version), count(*)) as row_version,
    from told
    group by customer_hash
)

select * from final
