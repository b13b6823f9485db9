with

written as (
    select source_name, customer_id, {{ identity_key('null::varchar') }} as identity_key,
    from {{ ref('stg_customers') }}
),

final as (
    select written.source_name, written.customer_id, identities.customer_key, identities.customer_hash,
    from written
    inner join {{ ref('int_identities') }} as identities using (identity_key)
    where identities.customer_key is not null
    group by all
)

select * from final
