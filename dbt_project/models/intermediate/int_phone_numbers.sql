{{ config(materialized='incremental', incremental_strategy='append') }}

with

written as (
    select distinct sets.phone, sets.region,
    from {{ ref('int_identity_sets') }} as sets
    where
        sets.phone is not null
        {%- if is_incremental() %}
            -- a number is asked for once; what nobody has any more does no harm
            and not exists (
                from {{ this }} as known
                where known.phone = sets.phone and known.region is not distinct from sets.region
            )
        {%- endif %}
),

-- An extension or a stray digit is no number; asking the library costs far more than counting.
-- Digits of any script: Chinese keyboards write wide ones, which the library reads.
final as (
    select
        phone,
        region,
        case
            when length(regexp_replace(phone, '\P{Nd}', '', 'g')) between 7 and 17 then e164(phone, region)
        end as e164_number,
    from written
)

select * from final
