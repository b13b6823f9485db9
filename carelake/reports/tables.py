"""Rows on a terminal, as CSV or as JSON."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import duckdb

from carelake.errors import ConfigError


def print_rows(
    names: Sequence[str], rows: Iterable[Sequence[Any]], *, is_wide: bool = False
) -> None:
    """Print rows as an aligned table, numbers to the right.

    Args:
        is_wide: one space between columns, for a table that would not fit a terminal otherwise.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    rows = list(rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0 if is_wide else 1))
    for i, name in enumerate(names):
        numeric = bool(rows) and all(isinstance(r[i], int | float) or r[i] is None for r in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_text(value) for value in row))
    # a pipe has no width: let every column have what it needs
    width = None if sys.stdout.isatty() else 200
    Console(width=width).print(table, markup=False)


def print_query(con: duckdb.DuckDBPyConnection, query: str, output: str) -> None:
    """Run a query and print its rows as 'table', 'csv' or 'json'.

    Raises:
        ConfigError: the query is wrong.
    """
    try:
        result = con.execute(query)
        names = [column[0] for column in result.description or []]
        rows = result.fetchall()
    except duckdb.Error as error:
        lines = str(error).splitlines()
        raise ConfigError(f"sql: {lines[0]}") from error
    if output == "table":
        print_rows(names, rows)
    elif output == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows([["" if v is None else v for v in row] for row in rows])
    else:
        records = [dict(zip(names, row, strict=True)) for row in rows]
        print(json.dumps(records, ensure_ascii=False, default=str, indent=1))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
