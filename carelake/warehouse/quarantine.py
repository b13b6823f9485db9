"""The quarantine: structural rejects and rejected rows, with the reason of each, and replay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from carelake.errors import ConfigError, RunFailed
from carelake.landing import DamagedManifest, Manifest, manifests, reseal
from carelake.settings import Context
from carelake.warehouse.configuration import record_configuration
from carelake.warehouse.connection import connect, has_table, literal, tell, write_lock
from carelake.warehouse.ledger import BatchResult
from carelake.warehouse.load import load_batch
from carelake.warehouse.published import marts_file, read_only
from carelake.warehouse.recorded import write_ops
from carelake.warehouse.schema import raw_columns, raw_tables


@dataclass(frozen=True)
class Quarantined:
    """One record that is not in the marts."""

    stage: str
    source: str
    batch_id: str
    file: str
    row: int | None
    line: int | None
    reason: str
    text: str


def summary(ctx: Context, say: Callable[[str], None] = tell) -> list[tuple[str, str, str, int]]:
    """Rows (source, stage, reason, count), most first.

    Args:
        say: told how old the answer is when the warehouse is busy.
    """
    with _quarantined(ctx, say, with_text=False) as con:
        return con.execute(
            """
            select source_name, stage,
                if(stage = 'held', reason, regexp_replace(reason, ': .*$', '')), count(*) as n
            from quarantined group by all order by n desc, 1, 2, 3
            """
        ).fetchall()


def show(
    ctx: Context, sources: list[str] | None, limit: int, say: Callable[[str], None] = tell
) -> list[Quarantined]:
    """The newest quarantined records, of some sources or all, with their text.

    Args:
        sources: their names; None for all.
        say: told how old the answer is, and that it is without texts, when the warehouse is busy.
    """
    named = "true" if sources is None else f"source_name in ({', '.join(map(literal, sources))})"
    with _quarantined(ctx, say, with_text=True) as con:
        rows = con.execute(
            f"""
            select stage, source_name, batch_id, file_name, row_number, line_number, reason, raw_text
            from quarantined where {named}
            order by batch_id desc, file_name, row_number limit {limit}
            """
        ).fetchall()
    return [Quarantined(*row) for row in rows]


@contextmanager
def _quarantined(
    ctx: Context, say: Callable[[str], None], *, with_text: bool
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the view `quarantined`: on the warehouse, or while it is busy on ops and marts."""
    with ExitStack() as stack:
        try:
            stack.enter_context(write_lock(ctx.home, "quarantine", wait_seconds=0))
            con = stack.enter_context(connect(ctx.home))
            query = _all(con, with_text=with_text)
        except RunFailed as busy:
            if not (ctx.home.ops.exists() and marts_file(ctx.home).exists()):
                raise
            con = stack.enter_context(read_only(ctx.home))
            con.execute(f"attach {literal(str(ctx.home.ops))} as ops (read_only)")
            query = PUBLISHED
            row = con.execute(
                "select strftime(published_at, '%Y-%m-%d %H:%M') from meta.publication"
            ).fetchone()
            moment = f"{row[0]} UTC" if row else "an unknown time"
            texts = "; texts are shown when it is free" if with_text else ""
            say(f"{busy}; this is what was published at {moment}{texts}")
        con.execute(f"create temp view quarantined as {query}")
        yield con


# Impossible values as of the last publication; what could not be read, and held batches, as of the
# last load. Neither file holds a text.
PUBLISHED = """
    select 'structure' as stage, source_name, batch_id, file_name, row_number, line_number, reason,
        '' as raw_text
    from ops.structural_rejects
    union all
    select 'value', source_name, batch_id, file_name, row_number, null, reason, ''
    from published.marts.rejected_rows
    where (batch_id, file_name, coalesce(row_number, 0)) not in
        (select (batch_id, file_name, coalesce(row_number, 0)) from ops.structural_rejects)
    union all
    select 'held', source_name, batch_id, null, null, null, held_reason, ''
    from ops.ledger where status = 'held'
"""


def replay(
    ctx: Context, batches: list[str] | None = None, say: Callable[[str], None] = tell
) -> list[BatchResult]:
    """Load batches again from the landing zone, with the mapping as it is now.

    Rows and rejects of the earlier load are replaced, so every record comes back exactly once. A
    held batch is checked anew.

    Args:
        batches: batch ids, whose landed files are taken as they are now, even if somebody changed
            them, and which are checked anew whatever was decided of them; without, every batch that
            has quarantined records or is held, and what a person decided of one stays.
        say: told which sources are left out, because a manifest of theirs is damaged.

    Raises:
        ConfigError: a batch that was never loaded, or of which retention removed rows.
    """
    by_name = {source.name: source for source in ctx.sources.sources}
    with (
        write_lock(ctx.home, "quarantine replay"),
        connect(ctx.home, **ctx.settings.duckdb) as con,
    ):
        record_configuration(con, ctx)
        landed = _landed(ctx, say)
        # an older version would come back in the place of a correction or deletion that is gone
        expired = {
            row[0]
            for row in con.execute("select batch_id from ops.ledger where n_expired > 0").fetchall()
        }
        released = set() if batches else _with_status(con, "released")
        left_out = expired | _with_status(con, "discarded")
        wanted = batches or [b for b in _with_quarantine(con) if b not in left_out]
        gone = [batch_id for batch_id in wanted if batch_id not in landed]
        if gone and batches:
            raise ConfigError(
                f"no batch '{gone[0]}' is landed for a source in sources.yml; "
                "`carelake quarantine list` names them"
            )
        if gone:
            say(f"left out, not landed for a source in sources.yml: {', '.join(gone)}")
        for batch_id in batches or ():
            if batch_id in expired:
                raise ConfigError(
                    f"batch '{batch_id}': retention removed rows of it, so it cannot be loaded again; "
                    "what is left of it stays as it is"
                )
            landed[batch_id] = reseal(ctx.home.landing, landed[batch_id])
        # the stored dialect came from the file that is read again: it is found anew
        con.execute("update ops.sources set csv_dialect = null")
        results = [
            load_batch(con, ctx, by_name[landed[b].source], landed[b], is_released=b in released)
            for b in wanted
            if b in landed
        ]
        write_ops(con, ctx.home)
        return results


def _landed(ctx: Context, say: Callable[[str], None]) -> dict[str, Manifest]:
    """Manifests of every source by batch, without the sources of which one is damaged."""
    found: dict[str, Manifest] = {}
    for source in ctx.sources.sources:
        try:
            found |= {m.batch_id: m for m in manifests(ctx.home.landing, source.name)}
        except DamagedManifest as error:
            say(f"{source.name}: {error}")
    return found


def decide(ctx: Context, batch_id: str, status: str) -> None:
    """Record a person's word on a held batch: 'released' or 'discarded'.

    Raises:
        ConfigError: the batch is not held.
    """
    with write_lock(ctx.home, f"batch {status}"), connect(ctx.home) as con:
        row = con.execute("select status from ops.ledger where batch_id = ?", [batch_id]).fetchone()
        if row is None or row[0] != "held":
            held = con.execute(
                "select coalesce(string_agg(batch_id, ', ' order by batch_id), 'none') "
                "from ops.ledger where status = 'held'"
            ).fetchone()
            state = f"is {row[0]}, not held" if row else "is not known"
            raise ConfigError(
                f"batch '{batch_id}' {state}; held now: {held[0] if held else 'none'}"
            )
        con.execute("update ops.ledger set status = ? where batch_id = ?", [status, batch_id])
        write_ops(con, ctx.home)


def _with_status(con: duckdb.DuckDBPyConnection, status: str) -> set[str]:
    query = f"select batch_id from ops.ledger where status = {literal(status)}"
    return {row[0] for row in con.execute(query).fetchall()}


def _with_quarantine(con: duckdb.DuckDBPyConnection) -> list[str]:
    rows = con.execute(
        f"""
        with quarantined as ({_all(con, with_text=False)})
        select batch_id from quarantined union select batch_id from ops.ledger where status = 'held'
        order by batch_id
        """
    ).fetchall()
    return [row[0] for row in rows]


def _all(con: duckdb.DuckDBPyConnection, *, with_text: bool) -> str:
    """SQL over every stage: structural rejects, rejected rows, held batches."""
    parts = [
        "select 'structure' as stage, source_name, batch_id, file_name, row_number, line_number, reason, "
        "raw_text from ops.structural_rejects"
    ]
    for table in raw_tables():
        if not has_table(con, "staging", f"stg_{table}__rejected"):
            continue
        columns = ", ".join(f"{name} := r.{name}" for name in raw_columns(table))
        text = f"to_json(struct_pack({columns}))::varchar" if with_text else "''"
        parts.append(
            f"""
            select 'value', s.source_name, s.batch_id, s.file_name, s.row_number, null, s.reason, {text}
            from staging.stg_{table}__rejected as s
            inner join raw.{table} as r
                on s.batch_id = r.batch_id and s.file_name = r.file_name and s.row_number = r.row_number
            """
        )
    # a held batch is one line of its own: its rows are sound or not, nobody has looked
    parts.append(
        "select 'held', source_name, batch_id, null, null, null, held_reason, '' from ops.ledger "
        "where status = 'held'"
    )
    return " union all ".join(parts)


def as_rows(found: list[Quarantined]) -> list[dict[str, Any]]:
    """Records for JSON output."""
    return [vars(record) for record in found]
