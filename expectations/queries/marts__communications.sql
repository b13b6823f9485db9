-- One row per channel: messages and calls in counts. Texts are searched for what masking should
-- have removed in a fixed sample of them, by key.
with as_of as (
    select as_of from intermediate.int_as_of
),

sampled_texts as (
    select
        coalesce(channel, 'unknown') as channel,
        concat_ws(' ', subject_masked, text_masked) as text,
    from marts.fct_communications
    where text_masked is not null or subject_masked is not null
    order by communication_key
    limit 5000
),

unmasked as (
    select
        channel,
        count(*) filter (
            where regexp_matches(text, '[[:alnum:]]@[[:alnum:]-]+[.][[:alpha:]]{2,}')
            or regexp_matches(text, '[0-9]{11,}')
        ) as n_unmasked,
    from sampled_texts
    group by channel
),

counted as (
    select
        coalesce(communications.channel, 'unknown') as channel,
        count(*) as n_communications,
        count(*) - count(distinct communications.communication_key) as n_repeated_keys,
        count(*) - count(communications.conversation_key) as n_without_conversation,
        count(*) filter (
            where communications.direction not in ('inbound', 'outbound')
            or communications.direction is null
        ) as n_wrong_directions,
        count(*) filter (where communications.sent_at > as_of.as_of) / count(*) as future_share,
        (count(*) - count(communications.sent_at)) / count(*) as untimed_share,
    from marts.fct_communications as communications
    cross join as_of
    group by coalesce(communications.channel, 'unknown')
),

final as (
    select
        counted.*,
        coalesce(unmasked.n_unmasked, 0) as n_unmasked,
    from counted
    left join unmasked on counted.channel = unmasked.channel
    order by counted.channel
)

select * from final
