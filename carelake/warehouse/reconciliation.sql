-- One row: what we had of a source when it was counted, which is when the named batch was its newest.
-- $typed, $id, $source, $batch, $is_gone and $is_snapshot are filled in.
with batches as (
    select
        batch_id,
        status not in ('loaded', 'released') as is_held,
        n_structural_rejects,
        coalesce(n_expired, 0) as n_expired,
        row_number() over (order by extracted_at desc, batch_id desc) = 1 as is_newest,
    from ops.ledger
    where
        source_name = $source
        and status <> 'arrived'
        and extracted_at <= (select extracted_at from ops.ledger where batch_id = $batch)
),

-- a snapshot says everything anew: what older ones rejected or held is not missing any more
counting as (
    select *,
    from batches
    where is_newest or not $is_snapshot
),

rows_then as (
    select
        coalesce($id, concat_ws(' ', typed.batch_id, typed.file_name, typed.row_number)) as id,
        counting.is_held,
        typed.reason is not null as is_rejected,
        $is_gone as is_deleted,
        row(typed.updated_at is not null, typed.updated_at, typed.extracted_at, typed.file_name, typed.row_number)
            as age,
    from $typed as typed
    inner join counting using (batch_id)
    where typed.source_name = $source
),

records as (
    select
        id,
        bool_or(not is_held and not is_rejected) as is_sound,
        bool_or(is_held) as is_held,
        arg_max(is_deleted, age) filter (not is_held and not is_rejected) as is_deleted,
    from rows_then
    group by id
),

final as (
    select
        count(*) filter (is_sound and not is_deleted) as n_ours,
        count(*) filter (is_sound and is_deleted) as n_deleted,
        count(*) filter (not is_sound and not is_held)
        + (select coalesce(sum(n_structural_rejects), 0) from counting)::bigint as n_quarantined,
        count(*) filter (not is_sound and is_held) as n_held,
        (select coalesce(sum(n_expired), 0) from counting)::bigint as n_expired,
    from records
)

select * from final
