-- One row per channel: what the models will learn from, in counts. Texts are searched for what
-- masking should have removed in a fixed sample of them, by key.
with conversations as (
    select
        coalesce(channel, 'unknown') as channel,
        conversation_key,
        occurred_at,
        opened_at,
        first_reply_minutes,
        resolution_minutes,
        handle_seconds,
        prior_satisfaction,
        label_satisfied,
        label_at,
        text,
    from features.features_conversations
),

sampled_texts as (
    select
        channel,
        text,
    from conversations
    where text is not null
    order by conversation_key
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
        channel,
        count(*) as n_conversations,
        count(*) - count(distinct conversation_key) as n_repeated_keys,
        count(*) filter (
            where first_reply_minutes < 0 or resolution_minutes < 0 or handle_seconds < 0
        ) as n_negative_durations,
        count(*) filter (where not prior_satisfaction between 0 and 1) as n_wrong_satisfaction,
        count(*) filter (where occurred_at < opened_at) as n_closed_before_opened,
        count(*) filter (where occurred_at is null) as n_untimed,
        count(label_satisfied) as n_labelled,
        count(*) filter (where label_satisfied) as n_satisfied,
        count(*) filter (where label_satisfied is not null and label_at < opened_at) as n_early_labels,
    from conversations
    group by channel
),

final as (
    select
        counted.channel,
        counted.n_conversations,
        counted.n_repeated_keys,
        counted.n_negative_durations,
        counted.n_wrong_satisfaction,
        counted.n_closed_before_opened,
        coalesce(unmasked.n_unmasked, 0) as n_unmasked,
        counted.n_untimed / counted.n_conversations as untimed_share,
        case
            when counted.n_labelled >= 30 then counted.n_satisfied / counted.n_labelled
        end as satisfied_share,
        counted.n_early_labels,
    from counted
    left join unmasked on counted.channel = unmasked.channel
    order by counted.channel
)

select * from final
