"""Retention: rows that the build has left out for their age are removed from raw and from landing.

The build alone says what is too old (`staging.stg_retention`, `stg_*__classified`), so removing
changes no mart. A record goes with all its versions, or an older one would come back in its place.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb

from carelake.errors import RunFailed
from carelake.keeping.kept_features import outdated
from carelake.keeping.lock import keeping_lock
from carelake.landing import Manifest, manifests, settle_files
from carelake.settings import Context
from carelake.warehouse.connection import (
    connect,
    has_table,
    insert_rows,
    literal,
    now_utc,
    tell,
    write_lock,
)
from carelake.warehouse.recorded import set_state
from carelake.warehouse.schema import raw_columns

EVENT_TIMES = {
    "communications": "sent_at",
    "email_messages": "sent_at",
    "call_legs": "started_at",
    "transcripts": "recorded_at",
    "conversations": "greatest(opened_at, first_reply_at, closed_at, survey_at)",
    "survey_responses": "responded_at",
    "orders": "ordered_at",
    "order_lines": "ordered_at",
    "events": "occurred_at",
    "follow_ups": "greatest(approved_at, due_at, completed_at)",
}
"""When what a row tells of happened, per raw table: as in `dbt_project/macros/moments.sql`."""
AS_COMMUNICATIONS = frozenset({"email_messages", "call_legs", "transcripts"})
"""Raw tables that the limit of communications holds for, as `stg_retention` says."""


@dataclass
class Removed:
    """What went, over all rules: raw rows, texts of rejects, landed files and their bytes.

    `n_feature_folders` are those kept for training runs.
    """

    n_rows: int = 0
    n_rejects: int = 0
    n_files: int = 0
    n_bytes: int = 0
    n_feature_folders: int = 0
    by_entity: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Rule:
    entity: str
    keep_days: int
    as_of: dt.datetime
    keep_from: dt.datetime

    @property
    def limit(self) -> str:
        return f"{literal(self.keep_from.isoformat())}::timestamptz"


def apply(ctx: Context, *, dry_run: bool = False, say: Callable[[str], None] = tell) -> Removed:
    """Remove what is older than `retention:` allows, and leave a receipt per rule and batch.

    Rows and receipts of an entity go in one transaction. A landed file goes when the last of its
    rows has gone (if it held unreadable records, when its extract is too old besides); its manifest
    stays and says so.

    Args:
        dry_run: count and change nothing.

    Raises:
        RunFailed: the marts were built under other limits.
    """
    removed = Removed()
    if not ctx.settings.retention:
        return removed
    home = ctx.home
    with (
        keeping_lock(home, "retention apply"),
        write_lock(home, "retention apply", say=say),
        connect(home, **ctx.settings.duckdb) as con,
    ):
        moment = now_utc()
        for rule in _rules(con, ctx):
            _remove_rows(con, rule, moment, removed, dry_run=dry_run)
            _remove_files(con, ctx, rule, moment, removed, dry_run=dry_run)
        for folder in list(outdated(home, con)):
            removed.n_feature_folders += 1
            if not dry_run:
                shutil.rmtree(folder)
        if removed.n_rows and not dry_run:
            set_state(con, "built_marker", "")  # the accounts of the batches are published anew
            con.execute("force checkpoint")  # what was deleted leaves the file where it can
    return removed


def _rules(con: duckdb.DuckDBPyConnection, ctx: Context) -> list[_Rule]:
    if not has_table(con, "staging", "stg_retention"):
        return []  # nothing was built yet, or by an earlier Carelake: nothing was left out either
    rows = con.execute(
        "select entity, keep_days, as_of, keep_from from staging.stg_retention order by entity"
    ).fetchall()
    rules = [_Rule(*row) for row in rows]
    built = {rule.entity: rule.keep_days for rule in rules if rule.entity not in AS_COMMUNICATIONS}
    if built != dict(ctx.settings.retention):
        raise RunFailed(
            "retention: the marts were not built under these limits yet; run `carelake run`, look at "
            "what is left, and try again"
        )
    return rules


def _remove_rows(
    con: duckdb.DuckDBPyConnection,
    rule: _Rule,
    moment: dt.datetime,
    removed: Removed,
    *,
    dry_run: bool,
) -> None:
    con.execute(f"create or replace temp table expired as {expired_rows(rule.entity, rule.limit)}")
    old_rejects = f"""
        entity = {literal(rule.entity)} and raw_text <> '' and batch_id in (
            select batch_id from ops.ledger where extracted_at < {rule.limit}
        )
    """
    batches = con.execute(
        f"""
        select source_name, batch_id, coalesce(sum(n_rows), 0)::bigint,
            coalesce(sum(n_rejects), 0)::bigint
        from (
            select source_name, batch_id, count(*) as n_rows, 0 as n_rejects from expired group by all
            union all
            select source_name, batch_id, 0, count(*) from ops.structural_rejects
            where {old_rejects} group by all
        ) group by all order by all
        """
    ).fetchall()
    count = sum(row[2] for row in batches)
    removed.n_rows += count
    removed.n_rejects += sum(row[3] for row in batches)
    removed.by_entity[rule.entity] = count
    if not dry_run and batches:
        con.execute("begin")
        try:
            key = "batch_seq, file_name, row_number"
            for table in (f"raw.{rule.entity}", f"staging.stg_{rule.entity}__typed"):
                con.execute(f"delete from {table} where ({key}) in (select ({key}) from expired)")
            con.execute(
                "update ops.ledger set n_expired = coalesce(n_expired, 0) + gone.n from ("
                "select batch_id, count(*) as n from expired group by 1) as gone "
                "where ledger.batch_id = gone.batch_id"
            )
            con.execute(f"update ops.structural_rejects set raw_text = '' where {old_rejects}")
            for source, batch, n_rows, n_rejects in batches:
                _receipt(con, rule, moment, source, batch, n_rows=n_rows, n_rejects=n_rejects)
            con.execute("commit")
        except BaseException:
            con.execute("rollback")
            raise
    con.execute("drop table expired")


def expired_rows(entity: str, limit: str) -> str:
    """SQL: the place of every raw row that may go.

    - A record that is too old, with all its versions: its newest decides, whether it counts or says
      that the record was deleted.
    - What is rejected or held, by its own age: nothing stands behind it.
    - Of a file that came again (`dedupe: none`), all earlier versions as soon as one row of it goes.

    A batch that was loaded again since the last build is left alone until it is built.
    """
    return f"""
        with rows as (
            select typed.source_name, typed.batch_id, typed.batch_seq, typed.file_name,
                typed.row_number, typed.{raw_columns(entity)[0]} as id, typed.reason,
                coalesce({EVENT_TIMES[entity]}, typed.extracted_at) < {limit} as is_old,
                coalesce(aside.disposition, 'staged') as disposition, sources.dedupe
            from staging.stg_{entity}__typed as typed
            inner join ops.ledger
                on typed.batch_seq = ledger.batch_seq
                and typed.loaded_at is not distinct from ledger.loaded_at
                and ledger.status <> 'arrived'
            left join ops.sources on typed.source_name = sources.source_name
            left join staging.stg_{entity}__set_aside as aside
                on typed.batch_seq = aside.batch_seq and typed.file_name = aside.file_name
                and typed.row_number = aside.row_number
        ),
        records as (
            select source_name, id from rows
            where disposition in ('staged', 'deleted') and is_old
        ),
        files as (
            select distinct source_name, file_name from rows
            where dedupe = 'none' and is_old and disposition in ('staged', 'deleted', 'rejected')
        )
        select source_name, batch_id, batch_seq, file_name, row_number from rows
        where
            (disposition in ('rejected', 'held') and is_old)
            or (
                disposition not in ('rejected', 'held')
                and (source_name, id) in (select (source_name, id) from records)
            )
            or (
                disposition in ('superseded', 'duplicate')
                and (source_name, file_name) in (select (source_name, file_name) from files)
            )
    """


def _receipt(
    con: duckdb.DuckDBPyConnection,
    rule: _Rule,
    moment: dt.datetime,
    source: str,
    batch: str,
    **counts: int,
) -> None:
    none = {"n_rows": 0, "n_rejects": 0, "n_files": 0, "n_bytes": 0}
    row: dict[str, Any] = {
        "applied_at": moment,
        "as_of": rule.as_of,
        "entity": rule.entity,
        "keep_days": rule.keep_days,
        "keep_from": rule.keep_from,
        "source_name": source,
        "batch_id": batch,
        **none,
        **counts,
    }
    insert_rows(con, "ops.retention", [row])


def _remove_files(
    con: duckdb.DuckDBPyConnection,
    ctx: Context,
    rule: _Rule,
    moment: dt.datetime,
    removed: Removed,
    *,
    dry_run: bool,
) -> None:
    for manifest, gone in _empty_files(con, ctx, rule):
        size = sum(file.n_bytes for file in manifest.files if file.landed in gone)
        removed.n_files += len(gone)
        removed.n_bytes += size
        if dry_run:
            continue
        files = [
            file.model_copy(update={"expired_at": moment}) if file.landed in gone else file
            for file in manifest.files
        ]
        settle_files(ctx.home.landing, manifest.model_copy(update={"files": files}))
        batch = manifest.batch_id
        _receipt(con, rule, moment, manifest.source, batch, n_files=len(gone), n_bytes=size)


def _empty_files(
    con: duckdb.DuckDBPyConnection, ctx: Context, rule: _Rule
) -> Iterator[tuple[Manifest, set[str]]]:
    """Batches with the landed files no row of which is left, though there were some."""
    rows = con.execute(
        f"""
        select batch_id, landed_path from ops.batch_files
        inner join ops.ledger using (batch_id)
        where ledger.entity = {literal(rule.entity)} and ledger.n_expired > 0
            -- a record that was no row has no time of its own: its file's counts
            and (n_rejected = 0 or ledger.extracted_at < {rule.limit}) and ledger.status <> 'arrived'
            and (batch_id, file_name) not in (select (batch_id, file_name) from raw.{rule.entity})
        """
    ).fetchall()
    empty: dict[str, set[str]] = {}
    for batch, landed in rows:
        empty.setdefault(batch, set()).add(landed)
    if not empty:
        return
    for manifest in manifests(ctx.home.landing):
        stored = {file.landed for file in manifest.files if file.stored}
        gone = empty.get(manifest.batch_id, set()) & stored
        if gone:
            yield manifest, gone
