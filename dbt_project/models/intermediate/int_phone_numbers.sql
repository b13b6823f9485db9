with

written as (
    select distinct phone, region,
    from {{ ref('int_identity_sets') }}
    where phone is not null
),

-- An extension or a stray digit is no number; asking the library costs far more than counting.
final as (
    select
        phone,
        region,
        case
            when length(regexp_replace(phone, '\D', '', 'g')) between 7 and 17 then e164(phone, region)
        end as e164_number,
    from written
)

select * from final
