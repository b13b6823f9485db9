{# How a raw row becomes a staged one, in three steps, the same for every entity:
     stg_<entity>__typed      one row per raw row: typed, normalised, and judged (`reason`, NULL when
                              sound). A row depends on nothing but itself, so only batches that are
                              new, or were loaded again, are read.
     stg_<entity>__set_aside  the rows that do not count, each with the one reason for it. Which
                              version of a record is the newest depends on all of them, so it is
                              made whole each time, but it is small.
     stg_<entity>             all others. #}

{# The raw rows of the batches that `__typed` lacks. A batch that was replayed has another load time. #}
{% macro new_rows(entity) %}
batches as (
    select ledger.batch_seq, ledger.loaded_at,
    from {{ source('ops', 'ledger') }} as ledger
    -- what arrived since the gate ran waits for the next build
    where ledger.status <> 'arrived'
    {%- if is_incremental() %}
        and not exists (
            from {{ this }} as known
            where known.batch_seq = ledger.batch_seq and known.loaded_at is not distinct from ledger.loaded_at
        )
    {%- endif %}
),

source as (
    select raw_rows.*, batches.loaded_at,
    from {{ source('raw', entity) }} as raw_rows
    inner join batches using (batch_seq)
)
{% endmacro %}

{# Before new batches are typed: the rows of batches that are gone, or were loaded again. #}
{% macro forget_old_batches() %}
    {%- if is_incremental() -%}
        delete from {{ this }} as known
        where not exists (
            from {{ source('ops', 'ledger') }} as ledger
            where
                ledger.batch_seq = known.batch_seq and ledger.loaded_at is not distinct from known.loaded_at
                and ledger.status <> 'arrived'
        )
    {%- endif -%}
{% endmacro %}

{# The tail every typed row keeps, and the hash of what the source said in it. #}
{% macro lineage() -%}
    attributes,
    source_name,
    batch_id,
    batch_seq,
    loaded_at,
    extracted_at,
    file_name,
    row_number,
    hash(
        *columns(
            * exclude (source_name, batch_id, batch_seq, loaded_at, extracted_at, file_name, row_number)
        )
    ) as row_hash,
{%- endmacro %}

{# The rows of a typed model that do not count. `id` is the source's key. Order of decision:
     held        its batch is held or discarded
     rejected    it has a reason
     duplicate   a newer version of the same id says exactly the same
     superseded  a newer version says something else, or its file came again without it
     deleted     the newest version is a deletion, or is gone from the newest snapshot
   Newest is decided by what the source and the manifest say (updated_at, extracted_at, file, row),
   never by the order of loading. #}
{% macro set_aside(typed, id) %}
with

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
),

newest_snapshots as (
    select source_name, batch_id as snapshot_batch,
    from batches
    where mode = 'snapshot' and not is_held
    qualify row_number() over (partition by source_name order by extracted_at desc, batch_id desc) = 1
),

typed as (
    select
        {{ id }} as id,
        hash(source_name, {{ id }}) as id_hash,
        source_name, batch_id, batch_seq, extracted_at, file_name, row_number, row_hash, updated_at, is_deleted, reason,
    from {{ ref(typed) }}
),

file_versions as (
    select distinct typed.source_name, typed.file_name, typed.batch_id, batches.extracted_at,
    from typed
    inner join batches using (batch_id)
    where batches.dedupe = 'none' and not batches.is_held
),

newest_files as (
    select source_name, file_name, batch_id as newest_batch,
    from file_versions
    qualify
        row_number() over (partition by source_name, file_name order by extracted_at desc, batch_id desc) = 1
),

-- A record that came once needs no comparing; the hash lets one more in, at worst.
repeated as (
    select id_hash,
    from typed
    group by id_hash
    having count(*) > 1
),

weighed as (
    select
        typed.*,
        batches.is_held,
        not batches.is_held and typed.reason is null as is_usable,
        coalesce(typed.batch_id <> newest_files.newest_batch, false) as is_in_old_file,
        newest_snapshots.snapshot_batch,
        repeated.id_hash is not null as is_repeated,
    from typed
    inner join batches using (batch_id)
    left join repeated on typed.id_hash = repeated.id_hash
    left join newest_snapshots on typed.source_name = newest_snapshots.source_name
    left join newest_files
        on
            typed.source_name = newest_files.source_name
            and typed.file_name = newest_files.file_name
            and batches.dedupe = 'none'
),

doubtful as (
    select *,
    from weighed
    where
        is_repeated or is_held or reason is not null or is_in_old_file or is_deleted
        or batch_id <> snapshot_batch
),

versions as (
    select
        *,
        row_number() over newest_first as version,
        first_value(row_hash) over newest_first as newest_hash,
        bool_or(not is_held and batch_id = snapshot_batch) over (partition by source_name, id) as is_in_snapshot,
    from doubtful
    window newest_first as (
        partition by source_name, id
        order by
            is_usable desc, updated_at desc nulls last, extracted_at desc, file_name desc, row_number desc,
            batch_id desc
    )
),

decided as (
    select
        source_name,
        batch_id,
        batch_seq,
        file_name,
        row_number,
        case
            when is_held then 'held'
            when reason is not null then 'rejected'
            when version > 1 and row_hash = newest_hash then 'duplicate'
            when version > 1 or is_in_old_file then 'superseded'
            when is_deleted then 'deleted'
            when snapshot_batch is not null and not is_in_snapshot then 'deleted'
        end as disposition,
    from versions
),

final as (
    select *,
    from decided
    where disposition is not null
)

select * from final
{% endmacro %}

{# Every typed row with what became of it; `expired` is what retention leaves out. #}
{% macro classified(entity) %}
with

final as (
    select
        typed.* exclude (batch_seq, loaded_at),
        coalesce(set_aside.disposition, case when {{ is_expired(entity) }} then 'expired' else 'staged' end)
            as disposition,
    from {{ ref('stg_' ~ entity ~ '__typed') }} as typed
    left join {{ ref('stg_' ~ entity ~ '__set_aside') }} as set_aside
        on
            typed.batch_seq = set_aside.batch_seq
            and typed.file_name = set_aside.file_name
            and typed.row_number = set_aside.row_number
)

select * from final
{% endmacro %}

{# The rows that count: not set aside, and not too old. #}
{% macro staged(entity) %}
with

final as (
    select typed.* exclude (batch_seq, loaded_at, reason),
    from {{ ref('stg_' ~ entity ~ '__typed') }} as typed
    anti join {{ ref('stg_' ~ entity ~ '__set_aside') }} as set_aside
        on
            typed.batch_seq = set_aside.batch_seq
            and typed.file_name = set_aside.file_name
            and typed.row_number = set_aside.row_number
    {%- if event_time(entity) %}
    where not {{ is_expired(entity) }}
    {%- endif %}
)

select * from final
{% endmacro %}

{# Rejected rows as they came, with the reason. #}
{% macro rejected(entity) %}
with

rejected as (
    select typed.batch_seq, typed.file_name, typed.row_number, typed.reason,
    from {{ ref('stg_' ~ entity ~ '__typed') }} as typed
    inner join {{ ref('stg_' ~ entity ~ '__set_aside') }} as set_aside using (batch_seq, file_name, row_number)
    where set_aside.disposition = 'rejected' and typed.reason is not null
),

final as (
    select source.*, rejected.reason,
    from {{ source('raw', entity) }} as source
    inner join rejected using (batch_seq, file_name, row_number)
)

select * from final
{% endmacro %}
