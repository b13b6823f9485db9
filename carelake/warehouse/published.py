"""What readers see: the current version, opened read-only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from carelake.errors import RunFailed
from carelake.settings import Home
from carelake.warehouse.connection import first_line, literal
from carelake.warehouse.fingerprint import relation_fingerprint

NOT_DATA = frozenset(
    {"data_quality_results", "source_runs", "rejected_rows", "source_reconciliation"}
)
"""Marts about runs rather than customers: no part of the fingerprint."""


def marts_file(home: Home) -> Path:
    """The published marts, through the symlink that publishing swaps."""
    return home.published / "current" / "marts.duckdb"


@contextmanager
def read_only(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """A reader's connection to the published marts, in schema `marts`.

    Raises:
        RunFailed: nothing was published yet.
    """
    path = marts_file(home)
    if not path.exists():
        raise RunFailed(f"{path}: nothing is published yet; run `carelake run`")
    # the version is opened, not the link, so that a swap does not change what is being read
    with open_marts(path.resolve()) as con:
        yield con


@contextmanager
def open_marts(path: Path, memory: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a marts file so that both `dim_customers` and `marts.dim_customers` are found.

    DuckDB names a database after its file: opened by itself, `marts.duckdb` would make the name
    `marts` mean the file and the schema alike. Attached as `published`, it means the schema.

    Args:
        path: of the file.
        memory: what DuckDB may use at most, as '4GB'; its default is four fifths of the machine's.
    """
    con = duckdb.connect(config={"memory_limit": memory} if memory else {})
    try:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"attach {literal(str(path))} as published (read_only)")
        con.execute("use published.marts")
        yield con
    except duckdb.IOException as error:
        raise RunFailed(f"{path}: cannot be opened ({first_line(error)})") from error
    finally:
        con.close()


def marts_fingerprint(
    con: duckdb.DuckDBPyConnection, volatile: dict[str, frozenset[str]]
) -> dict[str, Any]:
    """Fingerprint of every mart, by name.

    Args:
        volatile: columns per mart that differ between equal runs.
    """
    names = con.execute(
        "select table_name from information_schema.tables "
        "where table_schema = 'marts' order by table_name"
    ).fetchall()
    return {
        name: relation_fingerprint(con, f"marts.{name}", volatile.get(name, frozenset()))
        for (name,) in names
        if name not in NOT_DATA
    }


def published_fingerprint(home: Home) -> dict[str, Any]:
    """Fingerprint of the published marts, computed from the file itself."""
    with read_only(home) as con:
        return marts_fingerprint(con, _uncounted(con))


def _uncounted(con: duckdb.DuckDBPyConnection) -> dict[str, frozenset[str]]:
    rows = con.execute("select table_name, column_name from meta.uncounted_columns").fetchall()
    found: dict[str, frozenset[str]] = {}
    for table, column in rows:
        found[table] = found.get(table, frozenset()) | {column}
    return found
