"""The account of every source: where each physical record of its batches went."""

from __future__ import annotations

ACCOUNT = (
    "records", "rejects", "raw", "staged", "rejected", "duplicates", "superseded", "deleted",
    "held", "waiting",
)  # fmt: skip
"""records = rejects + raw; raw = staged + rejected + duplicates + superseded + deleted + held + waiting."""

# The ledger knows what was loaded, the last build where it went. A batch that came after that
# build, or was loaded anew since, waits for the next one.
ACCOUNTS = """
    with batches as (
        select ledger.*, runs.* exclude (batch_id),
            runs.batch_id is null or ledger.status = 'arrived' as is_waiting
        from (select batch_id, source_name, status, n_physical, n_structural_rejects, n_raw from ledger)
            as ledger
        left join (
            select batch_id, n_staged, n_rejected, n_duplicates, n_superseded, n_deleted, n_held
            from source_runs
        ) as runs using (batch_id)
    ),
    sums as (
        select source_name as source,
            sum(n_physical) as records, sum(n_structural_rejects) as rejects, sum(n_raw) as raw,
            sum(n_staged) filter (not is_waiting) as staged,
            sum(n_rejected) filter (not is_waiting) as rejected,
            sum(n_duplicates) filter (not is_waiting) as duplicates,
            sum(n_superseded) filter (not is_waiting) as superseded,
            sum(n_deleted) filter (not is_waiting) as deleted,
            sum(if(status = 'held' and is_waiting, n_raw, n_held))
                filter (not is_waiting or status = 'held') as held,
            sum(n_raw) filter (is_waiting and status <> 'held') as waiting
        from batches group by source_name
    ),
    final as (
        select source, columns(* exclude (source))::bigint,
        from (select source, coalesce(columns(* exclude (source)), 0) from sums)
    )
    select *, records - rejects - raw as lost_on_loading,
        raw - staged - rejected - duplicates - superseded - deleted - held - waiting as lost_on_staging
    from final order by source
"""
# what a person has to know of: batches that are not, or not by themselves, in the marts
BATCHES = """
    select batch_id as batch, source_name as source, status as state, n_physical as records,
        coalesce(held_reason, 'loaded, not checked yet') as reason
    from ledger where status in ('held', 'arrived', 'released', 'discarded')
    order by list_position(['held', 'arrived', 'released', 'discarded'], status), batch_id
"""


def closes(account: dict[str, int]) -> str:
    """✓, or by how much the account of a source is out."""
    lost = {
        "records": account["lost_on_loading"],
        "raw": account["lost_on_staging"],
    }
    return ", ".join(f"{name} {n:+,}" for name, n in lost.items() if n) or "✓"
