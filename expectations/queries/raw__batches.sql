-- One row per batch that was loaded and not checked yet: what the ledger says of it, and what
-- its rows in raw look like. Only the new batches' rows are read.
with new_batches as (
    select
        batch_seq,
        batch_id,
        source_name,
        n_files,
        n_physical,
        n_raw,
        n_structural_rejects,
        coalesce(try_cast(missing_columns as varchar[]), []) as missing_columns,
        coalesce(try_cast(new_columns as varchar[]), []) as new_columns,
    from ops.new_batches
),

communications as (
    select
        batch_id,
        count(*) as n_rows,
        count(*) - count(communication_id) as n_without_id,
        count(sent_at) as n_times,
        count(*) filter (where sent_at is not null and not ends_with(sent_at, 'Z')) as n_bad_times,
        count(*) filter (where coalesce(body, subject, customer_id, email, phone, handle, from_address, to_address, sent_at, survey_score) is null) as n_blank,
        count(*) filter (
            where contains(body, '�')
                or contains(subject, '�')
                or contains(customer_name, '�')
        ) as n_garbled,
    from raw.communications
    where batch_seq in (select new_batches.batch_seq from new_batches)
    group by batch_id
),

conversations as (
    select
        batch_id,
        count(*) as n_rows,
        count(*) - count(conversation_id) as n_without_id,
        count(opened_at)
            + count(first_reply_at)
            + count(closed_at) as n_times,
        count(*) filter (where opened_at is not null and not ends_with(opened_at, 'Z'))
            + count(*) filter (where first_reply_at is not null and not ends_with(first_reply_at, 'Z'))
            + count(*) filter (where closed_at is not null and not ends_with(closed_at, 'Z')) as n_bad_times,
        count(*) filter (where coalesce(subject, category, status, customer_id, email, phone, handle, agent, opened_at, survey_score, survey_remark) is null) as n_blank,
        count(*) filter (
            where contains(subject, '�')
                or contains(category, '�')
                or contains(customer_name, '�')
                or contains(survey_remark, '�')
        ) as n_garbled,
    from raw.conversations
    where batch_seq in (select new_batches.batch_seq from new_batches)
    group by batch_id
),

customers as (
    select
        batch_id,
        count(*) as n_rows,
        count(*) - count(customer_id) as n_without_id,
        count(created_at) as n_times,
        count(*) filter (where created_at is not null and not ends_with(created_at, 'Z')) as n_bad_times,
        count(*) filter (where coalesce(customer_name, email, phone, handle, age, gender, city) is null) as n_blank,
        count(*) filter (
            where contains(customer_name, '�')
                or contains(city, '�')
        ) as n_garbled,
    from raw.customers
    where batch_seq in (select new_batches.batch_seq from new_batches)
    group by batch_id
),

survey_responses as (
    select
        batch_id,
        count(*) as n_rows,
        count(*) - count(survey_id) as n_without_id,
        count(responded_at) as n_times,
        count(*) filter (where responded_at is not null and not ends_with(responded_at, 'Z')) as n_bad_times,
        count(*) filter (where coalesce(survey_score, survey_remark, conversation_id, customer_id, email, responded_at) is null) as n_blank,
        count(*) filter (
            where contains(survey_remark, '�')
                or contains(customer_name, '�')
        ) as n_garbled,
    from raw.survey_responses
    where batch_seq in (select new_batches.batch_seq from new_batches)
    group by batch_id
),

orders as (
    select
        batch_id,
        count(*) as n_rows,
        count(*) - count(order_id) as n_without_id,
        count(ordered_at) as n_times,
        count(*) filter (where ordered_at is not null and not ends_with(ordered_at, 'Z')) as n_bad_times,
        count(*) filter (where coalesce(amount, ordered_at, customer_id, email, phone, status) is null) as n_blank,
        count(*) filter (
            where contains(customer_name, '�')
        ) as n_garbled,
    from raw.orders
    where batch_seq in (select new_batches.batch_seq from new_batches)
    group by batch_id
),

order_lines as (
    select
        batch_id,
        count(*) as n_rows,
        count(*) - count(order_line_id) as n_without_id,
        count(ordered_at) as n_times,
        count(*) filter (where ordered_at is not null and not ends_with(ordered_at, 'Z')) as n_bad_times,
        count(*) filter (where coalesce(order_id, product_id, product_name, quantity, unit_price) is null) as n_blank,
        count(*) filter (
            where contains(product_name, '�')
                or contains(customer_name, '�')
        ) as n_garbled,
    from raw.order_lines
    where batch_seq in (select new_batches.batch_seq from new_batches)
    group by batch_id
),

events as (
    select
        batch_id,
        count(*) as n_rows,
        count(*) - count(event_id) as n_without_id,
        count(occurred_at) as n_times,
        count(*) filter (where occurred_at is not null and not ends_with(occurred_at, 'Z')) as n_bad_times,
        count(*) filter (where coalesce(event_name, customer_id, email, phone, handle, occurred_at) is null) as n_blank,
        count(*) filter (
            where contains(event_name, '�')
                or contains(customer_name, '�')
        ) as n_garbled,
    from raw.events
    where batch_seq in (select new_batches.batch_seq from new_batches)
    group by batch_id
),

agents as (
    select
        batch_id,
        count(*) as n_rows,
        count(*) - count(agent_id) as n_without_id,
        0 as n_times,
        0 as n_bad_times,
        count(*) filter (where coalesce(agent_name, email, phone, team) is null) as n_blank,
        count(*) filter (
            where contains(agent_name, '�')
                or contains(team, '�')
        ) as n_garbled,
    from raw.agents
    where batch_seq in (select new_batches.batch_seq from new_batches)
    group by batch_id
),

follow_ups as (
    select
        batch_id,
        count(*) as n_rows,
        count(*) - count(follow_up_id) as n_without_id,
        count(approved_at)
            + count(due_at)
            + count(completed_at) as n_times,
        count(*) filter (where approved_at is not null and not ends_with(approved_at, 'Z'))
            + count(*) filter (where due_at is not null and not ends_with(due_at, 'Z'))
            + count(*) filter (where completed_at is not null and not ends_with(completed_at, 'Z')) as n_bad_times,
        count(*) filter (where coalesce(status, outcome, customer_id, email, phone, due_at) is null) as n_blank,
        count(*) filter (
            where contains(outcome, '�')
                or contains(customer_name, '�')
        ) as n_garbled,
    from raw.follow_ups
    where batch_seq in (select new_batches.batch_seq from new_batches)
    group by batch_id
),

email_messages as (
    select
        batch_id,
        count(*) as n_rows,
        count(*) - count(message_id) as n_without_id,
        count(sent_at) as n_times,
        count(*) filter (where sent_at is not null and not ends_with(sent_at, 'Z')) as n_bad_times,
        count(*) filter (where coalesce(from_address, to_addresses, subject, body_text, sent_at) is null) as n_blank,
        count(*) filter (
            where contains(subject, '�')
                or contains(body_text, '�')
                or contains(from_name, '�')
        ) as n_garbled,
    from raw.email_messages
    where batch_seq in (select new_batches.batch_seq from new_batches)
    group by batch_id
),

call_legs as (
    select
        batch_id,
        count(*) as n_rows,
        count(*) - count(leg_id) as n_without_id,
        count(started_at) + count(answered_at) + count(ended_at) as n_times,
        count(*) filter (where started_at is not null and not ends_with(started_at, 'Z'))
            + count(*) filter (where answered_at is not null and not ends_with(answered_at, 'Z'))
            + count(*) filter (where ended_at is not null and not ends_with(ended_at, 'Z')) as n_bad_times,
        count(*) filter (where coalesce(from_address, to_address, phone, handle, started_at) is null) as n_blank,
        count(*) filter (
            where contains(customer_name, '�')
                or contains(queue, '�')
        ) as n_garbled,
    from raw.call_legs
    where batch_seq in (select new_batches.batch_seq from new_batches)
    group by batch_id
),

transcripts as (
    select
        batch_id,
        count(*) as n_rows,
        count(*) - count(transcript_id) as n_without_id,
        count(recorded_at) as n_times,
        count(*) filter (where recorded_at is not null and not ends_with(recorded_at, 'Z')) as n_bad_times,
        count(*) filter (where coalesce(call_id, text, customer_text, agent_text) is null) as n_blank,
        count(*) filter (where contains(text, '�') or contains(customer_text, '�')) as n_garbled,
    from raw.transcripts
    where batch_seq in (select new_batches.batch_seq from new_batches)
    group by batch_id
),

raw_rows as (
    select * from communications
    union all by name
    select * from conversations
    union all by name
    select * from customers
    union all by name
    select * from survey_responses
    union all by name
    select * from orders
    union all by name
    select * from order_lines
    union all by name
    select * from events
    union all by name
    select * from agents
    union all by name
    select * from follow_ups
    union all by name
    select * from email_messages
    union all by name
    select * from call_legs
    union all by name
    select * from transcripts
),

-- Without its id, its time or its score a row of an entity says nothing.
essential_columns (entity, essential) as (
    values
    ('communications', ['communication_id', 'sent_at', 'body']),
    ('conversations', ['conversation_id', 'opened_at']),
    ('customers', ['customer_id']),
    ('survey_responses', ['survey_id', 'survey_score', 'responded_at']),
    ('orders', ['order_id', 'ordered_at', 'amount']),
    ('order_lines', ['order_line_id', 'order_id', 'quantity', 'unit_price']),
    ('events', ['event_id', 'event_name', 'occurred_at']),
    ('agents', ['agent_id', 'agent_name']),
    ('follow_ups', ['follow_up_id', 'status']),
    ('call_legs', ['leg_id', 'started_at']),
    ('transcripts', ['transcript_id', 'call_id'])
),

-- What the source usually brings: its earlier batches, and the snapshot before this one.
earlier as (
    select
        new_batches.batch_id,
        median(ledger.n_raw) as usual_rows,
        max_by(ledger.n_raw, ledger.batch_seq) as previous_rows,
        count(*) as n_earlier,
    from new_batches
    inner join ops.ledger as ledger
        on
            new_batches.source_name = ledger.source_name
            and new_batches.batch_seq > ledger.batch_seq
            and ledger.status in ('arrived', 'loaded', 'released')
    group by new_batches.batch_id
),

repeated_files as (
    select
        files.batch_id,
        count(*) as n_repeated_files,
    from ops.batch_files as files
    inner join new_batches on files.batch_id = new_batches.batch_id
    where
        files.n_physical > 0
        and exists (
            select 1
            from ops.batch_files as others
            inner join ops.ledger as ledger on others.batch_id = ledger.batch_id
            where
                others.source_name = files.source_name
                and others.sha256 = files.sha256
                and ledger.batch_seq < new_batches.batch_seq
        )
    group by files.batch_id
),

final as (
    select
        new_batches.batch_id,
        new_batches.source_name,
        new_batches.n_files,
        new_batches.n_physical,
        new_batches.n_physical - new_batches.n_raw - new_batches.n_structural_rejects
            as n_unaccounted,
        new_batches.n_raw - coalesce(raw_rows.n_rows, 0) as n_rows_missing,
        new_batches.n_structural_rejects / nullif(new_batches.n_physical, 0) as reject_share,
        raw_rows.n_without_id / nullif(raw_rows.n_rows, 0) as missing_id_share,
        raw_rows.n_bad_times / nullif(raw_rows.n_times, 0) as bad_time_share,
        raw_rows.n_blank / nullif(raw_rows.n_rows, 0) as blank_share,
        raw_rows.n_garbled / nullif(raw_rows.n_rows, 0) as garbled_share,
        nullif(array_to_string(
            list_intersect(new_batches.missing_columns, essential_columns.essential), ', '
        ), '') as missing_essential,
        nullif(array_to_string(new_batches.missing_columns, ', '), '') as missing_columns,
        nullif(array_to_string(new_batches.new_columns, ', '), '') as new_columns,
        case
            when sources.mode = 'snapshot' then new_batches.n_raw / nullif(earlier.previous_rows, 0)
        end as snapshot_ratio,
        case
            when earlier.n_earlier >= 3 then new_batches.n_raw / nullif(earlier.usual_rows, 0)
        end as volume_ratio,
        coalesce(repeated_files.n_repeated_files, 0) as n_repeated_files,
    from new_batches
    left join ops.sources as sources on new_batches.source_name = sources.source_name
    left join raw_rows on new_batches.batch_id = raw_rows.batch_id
    left join essential_columns on sources.entity = essential_columns.entity
    left join earlier on new_batches.batch_id = earlier.batch_id
    left join repeated_files on new_batches.batch_id = repeated_files.batch_id
    order by new_batches.batch_seq
)

select * from final
