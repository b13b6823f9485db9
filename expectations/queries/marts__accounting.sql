-- One row per batch: whether its account closes. The whole ledger is small and is always looked at.
select
    batch_id,
    source_name,
    is_balanced,
    n_physical,
    n_physical - n_raw - n_structural_rejects as n_lost_on_loading,
    n_raw - n_staged - n_rejected - n_duplicates - n_superseded - n_deleted - n_held
        as n_lost_on_staging,
    (n_structural_rejects + n_rejected) / nullif(n_physical, 0) as rejected_share,
from marts.source_runs
where batch_id is not null
order by batch_id
