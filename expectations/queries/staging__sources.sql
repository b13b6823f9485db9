-- One row per entity and source: what became of its rows, and what looks wrong in those that stayed.
with communications as (
    select
        'communications' as entity,
        source_name,
        count(*) as n_rows,
        count(*) filter (where disposition = 'held') as n_held,
        count(*) filter (where disposition = 'rejected') as n_rejected,
        count(*) - count(disposition) as n_undecided,
        count(*) filter (where disposition = 'staged') as n_staged,
        count(sent_at) filter (where disposition = 'staged') as n_timed,
        count(*) filter (where disposition = 'staged' and sent_at > extracted_at + interval 1 day) as n_future,
        count(*) filter (where disposition = 'staged' and sent_at < timestamptz '1990-01-01 00:00:00+00')
            as n_ancient,
        count(*) filter (where disposition = 'staged' and coalesce(customer_id, email, phone, handle, from_address, to_address) is null) as n_unidentified,
    from staging.stg_communications__classified
    group by source_name
),

conversations as (
    select
        'conversations' as entity,
        source_name,
        count(*) as n_rows,
        count(*) filter (where disposition = 'held') as n_held,
        count(*) filter (where disposition = 'rejected') as n_rejected,
        count(*) - count(disposition) as n_undecided,
        count(*) filter (where disposition = 'staged') as n_staged,
        count(opened_at) filter (where disposition = 'staged') as n_timed,
        count(*) filter (where disposition = 'staged' and opened_at > extracted_at + interval 1 day) as n_future,
        count(*) filter (where disposition = 'staged' and opened_at < timestamptz '1990-01-01 00:00:00+00')
            as n_ancient,
        count(*) filter (where disposition = 'staged' and coalesce(customer_id, email, phone, handle) is null) as n_unidentified,
    from staging.stg_conversations__classified
    group by source_name
),

customers as (
    select
        'customers' as entity,
        source_name,
        count(*) as n_rows,
        count(*) filter (where disposition = 'held') as n_held,
        count(*) filter (where disposition = 'rejected') as n_rejected,
        count(*) - count(disposition) as n_undecided,
        count(*) filter (where disposition = 'staged') as n_staged,
        count(created_at) filter (where disposition = 'staged') as n_timed,
        count(*) filter (where disposition = 'staged' and created_at > extracted_at + interval 1 day) as n_future,
        count(*) filter (where disposition = 'staged' and created_at < timestamptz '1990-01-01 00:00:00+00')
            as n_ancient,
        count(*) filter (where disposition = 'staged' and coalesce(customer_id, email, phone, handle) is null) as n_unidentified,
    from staging.stg_customers__classified
    group by source_name
),

survey_responses as (
    select
        'survey_responses' as entity,
        source_name,
        count(*) as n_rows,
        count(*) filter (where disposition = 'held') as n_held,
        count(*) filter (where disposition = 'rejected') as n_rejected,
        count(*) - count(disposition) as n_undecided,
        count(*) filter (where disposition = 'staged') as n_staged,
        count(responded_at) filter (where disposition = 'staged') as n_timed,
        count(*) filter (where disposition = 'staged' and responded_at > extracted_at + interval 1 day) as n_future,
        count(*) filter (where disposition = 'staged' and responded_at < timestamptz '1990-01-01 00:00:00+00')
            as n_ancient,
        count(*) filter (where disposition = 'staged' and coalesce(customer_id, email, phone, handle, conversation_id, order_id) is null) as n_unidentified,
    from staging.stg_survey_responses__classified
    group by source_name
),

orders as (
    select
        'orders' as entity,
        source_name,
        count(*) as n_rows,
        count(*) filter (where disposition = 'held') as n_held,
        count(*) filter (where disposition = 'rejected') as n_rejected,
        count(*) - count(disposition) as n_undecided,
        count(*) filter (where disposition = 'staged') as n_staged,
        count(ordered_at) filter (where disposition = 'staged') as n_timed,
        count(*) filter (where disposition = 'staged' and ordered_at > extracted_at + interval 1 day) as n_future,
        count(*) filter (where disposition = 'staged' and ordered_at < timestamptz '1990-01-01 00:00:00+00')
            as n_ancient,
        count(*) filter (where disposition = 'staged' and coalesce(customer_id, email, phone, handle) is null) as n_unidentified,
    from staging.stg_orders__classified
    group by source_name
),

order_lines as (
    select
        'order_lines' as entity,
        source_name,
        count(*) as n_rows,
        count(*) filter (where disposition = 'held') as n_held,
        count(*) filter (where disposition = 'rejected') as n_rejected,
        count(*) - count(disposition) as n_undecided,
        count(*) filter (where disposition = 'staged') as n_staged,
        count(ordered_at) filter (where disposition = 'staged') as n_timed,
        count(*) filter (where disposition = 'staged' and ordered_at > extracted_at + interval 1 day) as n_future,
        count(*) filter (where disposition = 'staged' and ordered_at < timestamptz '1990-01-01 00:00:00+00')
            as n_ancient,
        count(*) filter (where disposition = 'staged' and coalesce(customer_id, email, phone, handle, order_id) is null) as n_unidentified,
    from staging.stg_order_lines__classified
    group by source_name
),

events as (
    select
        'events' as entity,
        source_name,
        count(*) as n_rows,
        count(*) filter (where disposition = 'held') as n_held,
        count(*) filter (where disposition = 'rejected') as n_rejected,
        count(*) - count(disposition) as n_undecided,
        count(*) filter (where disposition = 'staged') as n_staged,
        count(occurred_at) filter (where disposition = 'staged') as n_timed,
        count(*) filter (where disposition = 'staged' and occurred_at > extracted_at + interval 1 day) as n_future,
        count(*) filter (where disposition = 'staged' and occurred_at < timestamptz '1990-01-01 00:00:00+00')
            as n_ancient,
        count(*) filter (where disposition = 'staged' and coalesce(customer_id, email, phone, handle, conversation_id) is null) as n_unidentified,
    from staging.stg_events__classified
    group by source_name
),

agents as (
    select
        'agents' as entity,
        source_name,
        count(*) as n_rows,
        count(*) filter (where disposition = 'held') as n_held,
        count(*) filter (where disposition = 'rejected') as n_rejected,
        count(*) - count(disposition) as n_undecided,
        count(*) filter (where disposition = 'staged') as n_staged,
        count(updated_at) filter (where disposition = 'staged') as n_timed,
        count(*) filter (where disposition = 'staged' and updated_at > extracted_at + interval 1 day) as n_future,
        count(*) filter (where disposition = 'staged' and updated_at < timestamptz '1990-01-01 00:00:00+00')
            as n_ancient,
        count(*) filter (where disposition = 'staged' and agent_id is null) as n_unidentified,
    from staging.stg_agents__classified
    group by source_name
),

follow_ups as (
    select
        'follow_ups' as entity,
        source_name,
        count(*) as n_rows,
        count(*) filter (where disposition = 'held') as n_held,
        count(*) filter (where disposition = 'rejected') as n_rejected,
        count(*) - count(disposition) as n_undecided,
        count(*) filter (where disposition = 'staged') as n_staged,
        count(due_at) filter (where disposition = 'staged') as n_timed,
        0 as n_future,
        count(*) filter (where disposition = 'staged' and due_at < timestamptz '1990-01-01 00:00:00+00')
            as n_ancient,
        count(*) filter (where disposition = 'staged' and coalesce(customer_id, email, phone, handle, follow_up_id) is null) as n_unidentified,
    from staging.stg_follow_ups__classified
    group by source_name
),

email_messages as (
    select
        'email_messages' as entity,
        source_name,
        count(*) as n_rows,
        count(*) filter (where disposition = 'held') as n_held,
        count(*) filter (where disposition = 'rejected') as n_rejected,
        count(*) - count(disposition) as n_undecided,
        count(*) filter (where disposition = 'staged') as n_staged,
        count(sent_at) filter (where disposition = 'staged') as n_timed,
        count(*) filter (where disposition = 'staged' and sent_at > extracted_at + interval 1 day) as n_future,
        count(*) filter (where disposition = 'staged' and sent_at < timestamptz '1990-01-01 00:00:00+00')
            as n_ancient,
        count(*) filter (where disposition = 'staged' and from_address is null) as n_unidentified,
    from staging.stg_email_messages__classified
    group by source_name
),

call_legs as (
    select
        'call_legs' as entity,
        source_name,
        count(*) as n_rows,
        count(*) filter (where disposition = 'held') as n_held,
        count(*) filter (where disposition = 'rejected') as n_rejected,
        count(*) - count(disposition) as n_undecided,
        count(*) filter (where disposition = 'staged') as n_staged,
        count(started_at) filter (where disposition = 'staged') as n_timed,
        count(*) filter (where disposition = 'staged' and started_at > extracted_at + interval 1 day) as n_future,
        count(*) filter (where disposition = 'staged' and started_at < timestamptz '1990-01-01 00:00:00+00')
            as n_ancient,
        count(*) filter (where disposition = 'staged' and coalesce(customer_id, email, phone, handle, from_address, to_address) is null) as n_unidentified,
    from staging.stg_call_legs__classified
    group by source_name
),

transcripts as (
    select
        'transcripts' as entity,
        source_name,
        count(*) as n_rows,
        count(*) filter (where disposition = 'held') as n_held,
        count(*) filter (where disposition = 'rejected') as n_rejected,
        count(*) - count(disposition) as n_undecided,
        count(*) filter (where disposition = 'staged') as n_staged,
        -- most transcripts tell no time: it is the call's
        0 as n_timed,
        0 as n_future,
        0 as n_ancient,
        count(*) filter (where disposition = 'staged' and call_id is null) as n_unidentified,
    from staging.stg_transcripts__classified
    group by source_name
),

entities as (
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

final as (
    select
        entity,
        source_name,
        n_rows,
        n_undecided,
        n_rejected / nullif(n_rows - n_held, 0) as rejected_share,
        n_future / nullif(n_timed, 0) as future_share,
        n_ancient / nullif(n_timed, 0) as ancient_share,
        case when n_timed > 0 then 1 - n_timed / n_staged end as untimed_share,
        n_unidentified / nullif(n_staged, 0) as unidentified_share,
    from entities
    order by entity, source_name
)

select * from final
