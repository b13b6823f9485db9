{% set entities = [
    'communications', 'conversations', 'customers', 'survey_responses', 'orders', 'order_lines', 'events',
    'agents', 'follow_ups', 'email_messages', 'call_legs', 'transcripts',
] %}

with

dispositions as (
    {% for entity in entities -%}
        {% if not loop.first %}union all
        {% endif -%}
        select batch_id, disposition, count(*) as n_rows,
        from {{ ref('stg_' ~ entity ~ '__classified') }}
        group by all
    {% endfor %}
),

counted as (
    select
        batch_id,
        {% for disposition in ['staged', 'rejected', 'duplicate', 'superseded', 'deleted', 'expired', 'held'] -%}
            coalesce(sum(n_rows) filter (where disposition = '{{ disposition }}'), 0)::bigint as n_{{ disposition }},
        {% endfor -%}
        sum(n_rows)::bigint as n_classified,
    from dispositions
    group by batch_id
),

loaded as (
    select
        ledger.batch_id as run_key,
        ledger.batch_id,
        ledger.source_name,
        ledger.entity,
        ledger.status as outcome,
        ledger.held_reason as error,
        ledger.extracted_at,
        ledger.since,
        ledger.until,
        ledger.n_files,
        ledger.n_bytes,
        ledger.n_pages,
        ledger.n_requests,
        ledger.extract_seconds,
        ledger.seconds as load_seconds,
        nullif(array_to_string(ledger.new_columns::varchar[], ', '), '') as new_columns,
        nullif(array_to_string(ledger.missing_columns::varchar[], ', '), '') as missing_columns,
        ledger.n_physical,
        ledger.n_structural_rejects,
        ledger.n_raw,
        coalesce(counted.n_staged, 0) as n_staged,
        coalesce(counted.n_rejected, 0) as n_rejected,
        coalesce(counted.n_duplicate, 0) as n_duplicates,
        coalesce(counted.n_superseded, 0) as n_superseded,
        -- what retention leaves out, and what it has removed, is gone like what a source deleted
        coalesce(counted.n_deleted, 0) + coalesce(counted.n_expired, 0) + coalesce(ledger.n_expired, 0)
            as n_deleted,
        coalesce(counted.n_held, 0) as n_held,
        coalesce(
            ledger.n_physical = ledger.n_raw + ledger.n_structural_rejects
            and ledger.n_raw = coalesce(counted.n_classified, 0) + coalesce(ledger.n_expired, 0),
            false
        ) as is_balanced,
    from {{ source('ops', 'ledger') }} as ledger
    left join counted using (batch_id)
    where ledger.status <> 'arrived'
),

failed as (
    select
        concat_ws(' ', source_name, epoch_us(failed_at)) as run_key,
        source_name,
        'failed' as outcome,
        error,
        failed_at as extracted_at,
        since,
        until,
        seconds as extract_seconds,
        {% for count in [
            'files', 'bytes', 'physical', 'structural_rejects', 'raw', 'staged', 'rejected', 'duplicates',
            'superseded', 'deleted', 'held',
        ] -%}
            0::bigint as n_{{ count }},
        {% endfor -%}
        true as is_balanced,
    from {{ source('ops', 'failed_extracts') }}
),

final as (
    select * from loaded
    union all by name
    select * from failed
)

select * from final
