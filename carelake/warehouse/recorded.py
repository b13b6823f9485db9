"""Write what models, gates and steps found into their recorded tables."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb

from carelake.attempts import failed_attempts
from carelake.settings import PROJECT, Context, Home
from carelake.warehouse.connection import has_table, insert_rows, literal

OPS_TABLES = (
    "ledger", "batch_files", "failed_extracts", "source_reconciliation", "steps", "check_results",
    "retention", "state",
)  # fmt: skip
"""What `ops.duckdb` has of the recorded tables, as they are."""
TELLING = {"alerts", "keeping", "links", "replicas"}
"""Settings about people, pages, copies and tidiness: nothing in a table depends on them."""
SCHEDULING: dict[str, Any] = {"blocks": {"__all__": {"schedule", "owner", "tags"}}}
"""Keys of a source that say when it runs and who minds it, and nothing in a table."""


def record_scores(con: duckdb.DuckDBPyConnection, files: dict[str, Path]) -> int:
    """Replace the scores of each table by a score file's rows; gives rows written.

    The same scores again change nothing.
    """
    written = 0
    for table, path in files.items():
        target, source = f"ml.{table}", f"read_parquet({literal(str(path))})"
        if _digests(con, target) == _digests(con, source):
            continue
        con.execute("begin")
        con.execute(f"delete from {target}")
        con.execute(f"insert into {target} by name select * from {source}")
        con.execute("commit")
        written += _rows(con, target)
    return written


def record_segment_changes(con: duckdb.DuckDBPyConnection) -> None:
    """Note whom the scores of now put elsewhere than those before, as of the moment they speak of.

    Scored again as of the same moment, what was noted of it is replaced.
    """
    con.execute("begin")
    con.execute(
        "delete from ml.segment_changes where scored_as_of = (from intermediate.int_as_of select as_of)"
    )
    con.execute("""
        insert into ml.segment_changes by name
        with
            settings as (select as_of from intermediate.int_as_of where as_of is not null),
            known as (
                select customer_key, arg_max(coalesce(segment_name, ''), scored_as_of) as segment_name
                from ml.segment_changes, settings
                where scored_as_of < settings.as_of
                group by customer_key
            )
        select
            coalesce(scores.customer_key, known.customer_key) as customer_key,
            settings.as_of as scored_as_of,
            scores.segment_id,
            scores.segment_name,
            scores.model_digest,
        from settings, ml.segment_scores as scores
        full join known using (customer_key)
        where coalesce(scores.segment_name, '') <> coalesce(known.segment_name, '')
    """)
    con.execute("commit")


def _digests(con: duckdb.DuckDBPyConnection, relation: str) -> list[tuple[Any, ...]]:
    return con.execute(
        f"select model_digest, features_digest, model_version, count(*) from {relation} group by all order by all"
    ).fetchall()


def _rows(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = con.execute(f"select count(*) from {relation}").fetchone()
    return int(row[0]) if row else 0


def record_decisions(con: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """Take over decision files the table lacks; gives how many."""
    known = {row[0] for row in con.execute("select decision_id from ml.model_decisions").fetchall()}
    new = [path for path in sorted(folder.glob("*.json")) if path.stem not in known]
    for path in new:
        # a file of an earlier Carelake does not say who decided: it was the gate
        row = {"decided_by": "gate", **json.loads(path.read_text(encoding="utf-8"))}
        insert_rows(con, "ml.model_decisions", [row])
    return len(new)


def record_health(con: duckdb.DuckDBPyConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what was found of the champions; found again as of the same moment, it is replaced."""
    con.execute("begin")
    for model, as_of in sorted({(str(row["model_name"]), str(row["as_of"])) for row in rows}):
        con.execute(
            "delete from ml.model_health where model_name = ? and as_of = ?::timestamptz",
            [model, as_of],
        )
    insert_rows(con, "ml.model_health", rows)
    con.execute("commit")


def held_batches(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Batches that a gate holds and nobody has decided on, with the reason; models would learn of them."""
    return dict(
        con.execute(
            "select batch_id, held_reason from ops.ledger where status = 'held' order by batch_seq"
        ).fetchall()
    )


def record_failed_extracts(con: duckdb.DuckDBPyConnection, state: Path) -> int:
    """Take over the extracts that failed since the last time; gives how many."""
    with failed_attempts(state) as failed:
        rows = [
            {
                "source_name": one["source"],
                "failed_at": one["at"],
                "since": one["since"],
                "until": one["until"],
                "seconds": one["seconds"],
                "error": one["message"],
            }
            for one in failed
        ]
        insert_rows(con, "ops.failed_extracts", rows, "on conflict do nothing")
    return len(rows)


def record_checks(con: duckdb.DuckDBPyConnection, results: Sequence[Any]) -> None:
    """Keep check results; those of earlier runs stay, those of a check made twice are replaced.

    What a check of this run found in a batch that it then admitted or held stays as well: made
    again, as after a lost worker, it no longer sees that batch.
    """
    con.execute("begin")
    for run_id, layer in sorted({(result.run_id, result.layer) for result in results}):
        seen = [result.batch_id for result in results if result.batch_id is not None]
        con.execute(
            """
            delete from ops.check_results where run_id = ? and layer = ?
                and (layer <> 'raw' or batch_id is null or list_contains(?::varchar[], batch_id))
            """,
            [run_id, layer, seen],
        )
    insert_rows(con, "ops.check_results", [asdict(result) for result in results])
    con.execute("commit")


def admit_batches(
    con: duckdb.DuckDBPyConnection, held: dict[str, str], checked_at: dt.datetime
) -> None:
    """Let the batches that arrived into the build, or hold those that have a reason.

    What arrives later is not seen by the build under way: it works on one fixed set of batches.
    """
    moment = f"{literal(checked_at.isoformat())}::timestamptz"
    con.execute("begin")
    for batch_id, reason in held.items():
        con.execute(
            f"update ops.ledger set status = 'held', held_reason = {literal(reason)} "
            f"where batch_id = {literal(batch_id)}"
        )
    con.execute("update ops.ledger set status = 'loaded' where status = 'arrived'")
    con.execute(f"update ops.ledger set checked_at = {moment} where checked_at is null")
    set_state(con, "building_batches", _batches(con))
    con.execute("commit")


def set_state(con: duckdb.DuckDBPyConnection, key: str, value: str) -> None:
    """Remember one value."""
    con.execute(f"insert or replace into ops.state values ({literal(key)}, {literal(value)})")


def get_state(con: duckdb.DuckDBPyConnection, key: str) -> str | None:
    """A remembered value, None without."""
    row = con.execute(f"select value from ops.state where key = {literal(key)}").fetchone()
    return None if row is None else str(row[0])


def record_step(con: duckdb.DuckDBPyConnection, row: Mapping[str, Any]) -> None:
    """Keep one step of a run; the keys are the columns of `ops.steps`."""
    insert_rows(con, "ops.steps", [row])


def has_news(con: duckdb.DuckDBPyConnection, ctx: Context) -> bool:
    """Whether a build would give anything else than the last one that was published."""
    row = con.execute("select count(*) from ops.new_batches").fetchone()
    if row and row[0]:
        return True
    return _marker(ctx, _batches(con), _champions(con)) != get_state(con, "built_marker")


def note_champions(con: duckdb.DuckDBPyConnection) -> None:
    """Remember which models the build under way was scored with."""
    set_state(con, "building_champions", _champions(con))


def note_built(con: duckdb.DuckDBPyConnection, ctx: Context) -> None:
    """Remember what the build that was just published was made of."""
    batches = get_state(con, "building_batches") or ""
    champions = get_state(con, "building_champions") or ""
    set_state(con, "built_marker", _marker(ctx, batches, champions))


def _batches(con: duckdb.DuckDBPyConnection) -> str:
    """Digest of what was loaded, and of who is who by a person's word."""
    # with its load time, so that a replayed batch is news
    row = con.execute(
        "select coalesce(sha256(string_agg(said, ',' order by said)), '') from ("
        "select concat_ws(' ', batch_id, status, loaded_at) as said from ops.ledger "
        "where status <> 'arrived' union all "
        "select decision_id from care.identity_decisions where undone_at is null)"
    ).fetchone()
    return str(row[0]) if row else ""


def _champions(con: duckdb.DuckDBPyConnection) -> str:
    row = con.execute(
        "select coalesce(string_agg(decision_id, ',' order by decision_id), '') "
        "from ml.model_decisions where decision in ('promoted', 'rolled_back')"
    ).fetchone()
    return str(row[0]) if row else ""


def _marker(ctx: Context, batches: str, champions: str) -> str:
    """Digest of all that a build depends on: batches, models, settings, rules and our own code."""
    said = (
        ctx.settings.model_dump_json(exclude=TELLING),
        ctx.sources.model_dump_json(exclude=SCHEDULING),
    )
    digest = hashlib.sha256(repr((batches, champions, said)).encode())
    custom = ctx.config_dir / "custom"
    theirs = sorted(custom.rglob("*"))
    own = [ctx.config_dir / "followup.yml", ctx.config_dir / "needs.yml", *theirs]
    # a file that only moved makes another mart
    places = [str(path.relative_to(custom)) for path in theirs]
    digest.update(repr(places).encode())
    models = sorted((PROJECT / "dbt_project").rglob("*.sql"))
    rules = [
        path
        for room in ("followup", "needs")
        for path in sorted((PROJECT / "carelake" / room).glob("*.*l"))
    ]
    for path in [*own, *models, *rules]:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def write_ops(con: duckdb.DuckDBPyConnection, home: Home) -> None:
    """Rewrite `ops.duckdb`: what the last attempt did, and why the marts are as old as they are."""
    draft = home.published / "ops.duckdb.part"
    draft.unlink(missing_ok=True)
    con.execute(f"attach {literal(str(draft))} as ops_out")
    try:
        record_failed_extracts(con, home.state)
        for table in OPS_TABLES:
            con.execute(f"create table ops_out.{table} as from ops.{table}")
        if has_table(con, "marts", "source_runs"):
            con.execute("create table ops_out.source_runs as from marts.source_runs")
        con.execute(
            "create table ops_out.structural_rejects as select * exclude (raw_text) from ops.structural_rejects"
        )
        con.execute(
            """
            create table ops_out.freshness as
            select source_name, max(extracted_at) as last_extracted_at, max(loaded_at) as last_loaded_at,
                sum(n_raw) as n_raw from ops.ledger group by source_name order by source_name
            """
        )
        attempts = literal(str(home.state / "extracts" / "*.json"))
        if any((home.state / "extracts").glob("*.json")):
            con.execute(f"create table ops_out.extracts as from read_json({attempts})")
        else:
            con.execute(
                "create table ops_out.extracts "
                '(source varchar, outcome varchar, message varchar, "at" timestamp)'
            )
    finally:
        con.execute("detach ops_out")
    draft.chmod(0o444)
    draft.rename(home.ops)
