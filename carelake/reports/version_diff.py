"""What changed between two published versions: rows per mart, the batches that came, and one day's figures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from carelake.errors import ConfigError
from carelake.settings import Home
from carelake.warehouse.connection import ident, literal
from carelake.warehouse.published import NOT_DATA

FACTS = ("fct_conversations", "fct_communications", "fct_orders", "fct_survey_responses")
"""Marts whose rows a day's figures are made of; their first column is their key."""


@dataclass(frozen=True)
class MartChange:
    """Rows of a mart that one version has and the other has not; a changed row is one of each."""

    mart: str
    n_before: int
    n_after: int
    n_only_before: int
    n_only_after: int


@dataclass(frozen=True)
class DayChange:
    """One figure of `agg_channel_daily` that is not what it was."""

    channel: str
    figure: str
    before: str | None
    after: str | None


@contextmanager
def two_versions(home: Home, before: int, after: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """Both versions in one reader's connection, as `before` and `after`.

    Raises:
        ConfigError: one of them is not kept any more, or never was.
    """
    folder = home.published / "versions"
    kept = sorted(int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit())
    con = duckdb.connect()
    try:
        con.execute("set TimeZone = 'UTC'")
        for name, version in (("before", before), ("after", after)):
            path = folder / f"{version:06d}" / "marts.duckdb"
            if not path.exists():
                there = ", ".join(map(str, kept)) or "none"
                raise ConfigError(f"diff: version {version} is not kept; kept are: {there}")
            con.execute(f"attach {literal(str(path))} as {name} (read_only)")
        yield con
    finally:
        con.close()


def mart_changes(con: duckdb.DuckDBPyConnection) -> list[MartChange]:
    """Every mart that is not the same, clock columns and marts about runs left out."""
    found = []
    for mart in sorted({*_marts(con, "before"), *_marts(con, "after")} - NOT_DATA):
        columns = _shared_columns(con, mart)
        if not columns:
            n_before, n_after = (
                _count(con, f"{version}.marts.{mart}") if mart in _marts(con, version) else 0
                for version in ("before", "after")
            )
            found.append(MartChange(mart, n_before, n_after, n_before, n_after))
            continue
        row = con.execute(
            f"""
            with rows_before as (
                select hash({columns}) as row_hash, count(*) as n from before.marts.{mart} group by 1
            ),
            rows_after as (
                select hash({columns}) as row_hash, count(*) as n from after.marts.{mart} group by 1
            )
            select
                coalesce(sum(b.n), 0)::bigint,
                coalesce(sum(a.n), 0)::bigint,
                coalesce(sum(greatest(coalesce(b.n, 0) - coalesce(a.n, 0), 0)), 0)::bigint,
                coalesce(sum(greatest(coalesce(a.n, 0) - coalesce(b.n, 0), 0)), 0)::bigint,
            from rows_before as b full join rows_after as a using (row_hash)
            """
        ).fetchone()
        assert row is not None
        if row[2] or row[3]:
            found.append(MartChange(mart, *row))
    return found


def new_batches(con: duckdb.DuckDBPyConnection) -> list[tuple[str, int, int]]:
    """What came in between: source, batches, records."""
    return con.execute(
        """
        select source_name, count(*), coalesce(sum(n_physical), 0)::bigint
        from after.marts.source_runs as runs
        where batch_id is not null and not exists (
            from before.marts.source_runs as known where known.batch_id = runs.batch_id
        )
        group by source_name order by source_name
        """
    ).fetchall()


def day_changes(con: duckdb.DuckDBPyConnection, day: dt.date) -> list[DayChange]:
    """The figures of a day of the reporting zone that are not what they were."""
    found = []
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for version in ("before", "after"):
        result = con.execute(
            f"select * exclude (day) from {version}.marts.agg_channel_daily where day = ?", [day]
        )
        names = [column[0] for column in result.description or []]
        rows[version] = {
            row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in result.fetchall()
        }
    for channel in sorted({*rows["before"], *rows["after"]}):
        was, now = rows["before"].get(channel, {}), rows["after"].get(channel, {})
        for figure in {**was, **now}:
            old, new = was.get(figure), now.get(figure)
            if old != new:
                found.append(DayChange(channel, figure, _text(old), _text(new)))
    return found


def behind_the_day(
    con: duckdb.DuckDBPyConnection, day: dt.date, zone: str
) -> list[tuple[str, str, str, int, str]]:
    """The rows behind a day that came, went or changed: mart, source, what, how many, one key."""
    parts = []
    for mart in FACTS:
        columns = _shared_columns(con, mart)
        times = {"fct_conversations": "opened_at", "fct_communications": "sent_at"}
        time = times.get(mart, "ordered_at" if mart == "fct_orders" else "responded_at")
        key = con.execute(f"describe after.marts.{mart}").fetchall()[0][0]
        chosen = (
            f"select {ident(key)} as row_key, source_name, hash({columns}) as row_hash "
            "from {}.marts." + mart + f" where ({time} at time zone $zone)::date = $day"
        )
        parts.append(
            f"""
            select '{mart}' as mart, coalesce(a.source_name, b.source_name) as source_name,
                case
                    when b.row_key is null then 'new' when a.row_key is null then 'gone' else 'changed'
                end as what,
                coalesce(a.row_key, b.row_key) as row_key
            from ({chosen.format("before")}) as b full join ({chosen.format("after")}) as a using (row_key)
            where a.row_hash is distinct from b.row_hash
            """
        )
    return con.execute(
        f"select mart, source_name, what, count(*), min(row_key) from ({' union all '.join(parts)}) as rows "
        "group by all order by all",
        {"zone": zone, "day": day},
    ).fetchall()


def _marts(con: duckdb.DuckDBPyConnection, version: str) -> set[str]:
    found = con.execute(
        "select table_name from duckdb_tables() where database_name = ? and schema_name = 'marts'",
        [version],
    ).fetchall()
    return {name for (name,) in found}


def _shared_columns(con: duckdb.DuckDBPyConnection, mart: str) -> str:
    """Columns of both versions that are compared, as SQL; empty when one has no such mart."""
    found = con.execute(
        """
        select b.column_name
        from duckdb_columns() as b
        inner join duckdb_columns() as a
            on a.database_name = 'after' and a.schema_name = 'marts' and a.table_name = b.table_name
            and a.column_name = b.column_name
        where b.database_name = 'before' and b.schema_name = 'marts' and b.table_name = $mart
            and b.column_name not in (
                select column_name from after.meta.uncounted_columns where table_name = $mart
            )
        order by b.column_index
        """,
        {"mart": mart},
    ).fetchall()
    return ", ".join(ident(name) for (name,) in found)


def _count(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = con.execute(f"select count(*) from {relation}").fetchone()
    return int(row[0]) if row else 0


def _text(value: Any) -> str | None:
    return None if value is None else f"{value:,}" if isinstance(value, int) else str(value)
