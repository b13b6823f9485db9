"""`carelake status`: what is published, where every record went, what the last run did."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import duckdb

from carelake.errors import RunFailed
from carelake.reports.accounts import ACCOUNT, ACCOUNTS, BATCHES, closes
from carelake.settings import Context, Home
from carelake.shown import safe_json, visible
from carelake.warehouse.connection import now_utc
from carelake.warehouse.freshness import freshness


def read_status(home: Home) -> dict[str, Any]:
    """The state of a home, from `ops.duckdb` and the published folder; reads nothing private.

    Returns:
        `published`, `blocked`, `sources` and `accounts` (one row per source), `batches` (those held,
        waiting or decided on by a person), `reconciliation` (each source's newest count), `replicas`
        (one row each) and `last_run` (one row per step).

    Raises:
        RunFailed: nothing ran in this home yet.
    """
    if not home.ops.exists():
        raise RunFailed(f"{home.ops}: nothing ran yet; run `carelake run`")
    with duckdb.connect(str(home.ops), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        attempts = home.state / "extracts"
        if any(attempts.glob("*.json")):
            # newer than the table: a source that gave nothing starts no build
            files = str(attempts / "*.json").replace("'", "''")
            con.execute(f"create temp view extracts as from read_json('{files}')")
        if not _value(con, "select 1 from duckdb_tables() where table_name = 'source_runs'"):
            con.execute(NOTHING_BUILT)
        return {
            "published": _published(home),
            "blocked": _value(con, "select value from state where key = 'publish_blocked'") or None,
            "sources": _rows(con, SOURCES),
            "accounts": [{**row, "closes": closes(row)} for row in _rows(con, ACCOUNTS)],
            "batches": _rows(con, BATCHES),
            "reconciliation": _reconciliation(con),
            "replicas": _replicas(home),
            "last_run": _rows(con, LAST_RUN),
        }


def _reconciliation(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Each source's newest count beside ours; empty in a home that did not count yet."""
    if not _value(con, "select 1 from duckdb_tables() where table_name = 'source_reconciliation'"):
        return []
    return _rows(con, RECONCILIATION)


def _replicas(home: Home) -> list[dict[str, Any]]:
    """What became of each replica when it was last tried, by name."""
    found = []
    for path in sorted((home.state / "replicas").glob("*.json")):
        said = json.loads(path.read_text(encoding="utf-8"))
        said["at"] = said["at"][:19]
        found.append({key: said[key] for key in ("replica", "version", "outcome", "at", "message")})
    return found


SOURCES = """
    with attempts as (select source, outcome, message, "at" from extracts),
    accounts as (
        select source_name, count(*) as batches, sum(n_physical) as physical, sum(n_raw) as raw,
            sum(n_structural_rejects) as rejects, count(*) filter (status = 'held') as held,
            string_agg(held_reason, '; ' order by batch_id) filter (status = 'held') as held_reason,
            max(loaded_at) as loaded_at
        from ledger group by source_name
    ),
    final as (
        select coalesce(source_name, source) as source, coalesce(batches, 0) as batches,
            coalesce(physical, 0)::bigint as records, coalesce(raw, 0)::bigint as loaded,
            coalesce(rejects, 0)::bigint as rejects, coalesce(held, 0) as held,
            loaded_at::varchar as last_loaded,
            concat_ws('; ', held_reason, case when outcome = 'failed' then message end) as note
        from accounts full join attempts on source_name = source
    )
    select * from final order by source
"""
RECONCILIATION = """
    select source_name as source, left(counted_at::varchar, 16) as counted, n_theirs as theirs,
        n_ours as ours, explanation
    from source_reconciliation
    qualify row_number() over (partition by source_name order by counted_at desc) = 1
    order by source_name
"""
NOTHING_BUILT = """
    create temp table source_runs as select null::varchar as batch_id, 0 as n_staged, 0 as n_rejected,
        0 as n_duplicates, 0 as n_superseded, 0 as n_deleted, 0 as n_held where false
"""
LAST_RUN = """
    with last as (select run_id from steps order by started_at desc limit 1),
    final as (
        select step, outcome, seconds, rows, detail from steps
        where run_id = (select run_id from last) order by started_at
    )
    select * from final
"""


def print_status(ctx: Context, *, as_json: bool = False) -> None:
    """Print a home's state as tables, or as JSON."""
    state = read_status(ctx.home)
    found = freshness(ctx, now_utc())
    state["freshness"] = [asdict(one) for one in found if one.state != "unwatched"]
    quiet = {one.source: one.message for one in found if one.message}
    for row in state["sources"]:
        row["note"] = "; ".join(filter(None, [row["note"], quiet.pop(row["source"], "")]))
    labels = {replica.label for replica in ctx.settings.replicas}  # others were set once
    state["replicas"] = [row for row in state["replicas"] if row["replica"] in labels]
    if as_json:
        print(safe_json(state))
        return
    published = state["published"]
    if published["version"] is None:
        print("nothing is published yet")
    else:
        kept = f"{published['kept']} kept"
        print(f"published version {published['version']} ({kept}) · {published['file']}")
    if published["banner"]:
        print(visible(f"readers are told: {published['banner']}"))
    if published["held"]:
        print(
            visible(
                f"publishing is held: {published['held']}; end it with `carelake publish --release`"
            )
        )
    if state["blocked"]:
        print(visible(f"publishing is stopped by a gate: {state['blocked']}"))
    _print_sources(state)
    if state["batches"]:
        _print("batches held, waiting or decided on by a person", state["batches"])
        if any(batch["state"] == "held" for batch in state["batches"]):
            print("decide with `carelake batch release BATCH` or `carelake batch discard BATCH`")
    for source, message in quiet.items():
        print(visible(f"{source} {message}"))
    if state["reconciliation"]:
        _print("what sources say they have, and what we have", state["reconciliation"])
    if state["replicas"]:
        _print("replicas", state["replicas"])
    _print("last run", state["last_run"])


def _print_sources(state: dict[str, Any]) -> None:
    """Freshness and account; what is nowhere is left out, so that the rest fits a terminal."""
    sources = [dict(row) for row in state["sources"]]
    for row in sources:
        del row["loaded"], row["rejects"]  # they stand in the account
        row["last_loaded"] = (row["last_loaded"] or "")[:19]
    _print("sources", sources)
    seldom = ("deleted", "held", "waiting")
    accounts = state["accounts"]
    shown = [n for n in ACCOUNT if n not in seldom or any(row[n] for row in accounts)]
    rows = [{n: row[n] for n in ("source", *shown, "closes")} for row in accounts]
    _print(
        "where every record went: records = rejects + raw; raw = the sum of what follows it", rows
    )


def _print(title: str, rows: list[dict[str, Any]]) -> None:
    from carelake.reports.tables import print_rows

    print(f"\n{title}")
    if rows:
        names = list(rows[0])
        print_rows(names, [list(row.values()) for row in rows], is_wide=len(names) > 8)


def held_batches(home: Home) -> list[tuple[str, str]]:
    """Pairs (batch id, reason) of the batches a gate or an unreadable file holds now."""
    if not home.ops.exists():
        return []
    with duckdb.connect(str(home.ops), read_only=True) as con:
        return con.execute(
            "select batch_id, coalesce(held_reason, '') from ledger where status = 'held' order by 1"
        ).fetchall()


def _published(home: Home) -> dict[str, Any]:
    from carelake.warehouse.banner import read_banner

    link = home.published / "current"
    hold = home.published / "HOLD"
    kept = [path for path in (home.published / "versions").glob("[0-9]*") if path.name.isdigit()]
    return {
        "version": int(link.resolve().name) if link.exists() else None,
        "kept": len(kept),
        "file": str(link / "marts.duckdb"),
        "held": hold.read_text(encoding="utf-8").strip() if hold.exists() else None,
        "banner": read_banner(home),
    }


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    result = con.execute(query)
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _value(con: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = con.execute(query).fetchone()
    return row[0] if row else None
