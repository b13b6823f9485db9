{# Gives every raw row its one disposition. The caller has a CTE `judged` with the typed columns, the
   tail of raw, `row_hash` (all business columns), `updated_at`, `is_deleted` and `reason` (NULL when
   the row is sound); `id` is the source's key. Order of decision:
     held        its batch is held or discarded
     rejected    it has a reason
     duplicate   a newer version of the same id says exactly the same
     superseded  a newer version says something else, or its file came again without it
     deleted     the newest version is a deletion, or is gone from the newest snapshot
     staged      all others
   Newest is decided by what the source and the manifest say (updated_at, extracted_at, file, row),
   never by the order of loading. #}
{% macro classify(id) %}
batches as (
    select
        ledger.batch_id,
        ledger.source_name,
        ledger.extracted_at,
        ledger.status not in ('loaded', 'released') as is_held,
        sources.mode,
        sources.dedupe,
    from {{ source('ops', 'ledger') }} as ledger
    left join {{ source('ops', 'sources') }} as sources using (source_name)
    -- what arrived since the gate ran waits for the next build
    where ledger.status <> 'arrived'
),

newest_snapshots as (
    select source_name, batch_id as snapshot_batch,
    from batches
    where mode = 'snapshot' and not is_held
    qualify row_number() over (partition by source_name order by extracted_at desc, batch_id desc) = 1
),

file_versions as (
    select distinct judged.source_name, judged.file_name, judged.batch_id, batches.extracted_at,
    from judged
    inner join batches using (batch_id)
    where batches.dedupe = 'none' and not batches.is_held
),

newest_files as (
    select source_name, file_name, batch_id as newest_batch,
    from file_versions
    qualify
        row_number() over (partition by source_name, file_name order by extracted_at desc, batch_id desc) = 1
),

weighed as (
    select
        judged.*,
        coalesce(batches.is_held, false) as is_held,
        not coalesce(batches.is_held, false) and judged.reason is null as is_usable,
        coalesce(judged.batch_id <> newest_files.newest_batch, false) as is_in_old_file,
        newest_snapshots.snapshot_batch,
    from judged
    inner join batches using (batch_id)
    left join newest_snapshots on judged.source_name = newest_snapshots.source_name
    left join newest_files
        on
            judged.source_name = newest_files.source_name
            and judged.file_name = newest_files.file_name
            and batches.dedupe = 'none'
),

repeated as (
    select source_name, {{ id }},
    from weighed
    group by all
    having count(*) > 1
),

versions as (
    select
        weighed.source_name,
        weighed.batch_id,
        weighed.file_name,
        weighed.row_number,
        row_number() over newest_first as version,
        first_value(weighed.row_hash) over newest_first as newest_hash,
        bool_or(not weighed.is_held and weighed.batch_id = weighed.snapshot_batch) over (
            partition by weighed.source_name, weighed.{{ id }}
        ) as is_in_snapshot,
    from weighed
    inner join repeated
        on weighed.source_name = repeated.source_name and weighed.{{ id }} = repeated.{{ id }}
    window newest_first as (
        partition by weighed.source_name, weighed.{{ id }}
        order by
            weighed.is_usable desc, weighed.updated_at desc nulls last, weighed.extracted_at desc,
            weighed.file_name desc, weighed.row_number desc, weighed.batch_id desc
    )
),

final as (
    select
        weighed.* exclude (is_held, is_usable, is_in_old_file, snapshot_batch),
        case
            when weighed.is_held then 'held'
            when weighed.reason is not null then 'rejected'
            when versions.version > 1 and weighed.row_hash = versions.newest_hash then 'duplicate'
            when versions.version > 1 or weighed.is_in_old_file then 'superseded'
            when weighed.is_deleted then 'deleted'
            when
                weighed.snapshot_batch is not null
                and not coalesce(versions.is_in_snapshot, weighed.batch_id = weighed.snapshot_batch)
                then 'deleted'
            else 'staged'
        end as disposition,
    from weighed
    left join versions
        on
            weighed.source_name = versions.source_name
            and weighed.batch_id = versions.batch_id
            and weighed.file_name = versions.file_name
            and weighed.row_number = versions.row_number
)
{% endmacro %}

{# The tail every staged row keeps, and the hash of what the source said in it. #}
{% macro lineage() -%}
    attributes,
    source_name,
    batch_id,
    extracted_at,
    file_name,
    row_number,
    hash(*columns(* exclude (source_name, batch_id, batch_seq, extracted_at, file_name, row_number))) as row_hash,
{%- endmacro %}
