with

-- A recorder names a call by the call, or by the leg it listened to.
names as (
    select leg_id as name, call_id from {{ ref('int_call_legs') }}
    union
    select call_id as name, call_id from {{ ref('int_call_legs') }}
    union
    -- Asterisk's id of a channel, which several of its legs share
    select regexp_extract(leg_id, '^(\d+\.\d+)-', 1), call_id from {{ ref('int_call_legs') }}
    union
    -- Twilio's id of a leg that another one made
    select regexp_extract(leg_id, '-(CA[0-9a-fA-F]{32})$', 1), call_id from {{ ref('int_call_legs') }}
),

known as (
    select name, min(call_id) as call_id,
    from names
    group by name
    having count(*) = 1
),

named as (
    select
        transcripts.*,
        coalesce(known.call_id, transcripts.call_id) as whole_call_id,
    from {{ ref('stg_transcripts') }} as transcripts
    left join known on transcripts.call_id = known.name
),

-- What models read is what the customer said; where nobody can tell who spoke, all of it.
final as (
    select
        whole_call_id as call_id,
        string_agg(coalesce(customer_text, text), chr(10) order by recorded_at, source_name, transcript_id) as body,
        min(language) as language,
        hash(sum(row_hash), count(*)) as row_hash,
    from named
    group by whole_call_id
)

select * from final
