"""Rows on a terminal, as CSV or as JSON."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise, takewhile
from typing import Any

import duckdb

from carelake.errors import ConfigError
from carelake.shown import safe_cell, safe_json, visible


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
    from rich.text import Text

    rows = list(rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0 if is_wide else 1))
    for i, name in enumerate(names):
        numeric = bool(rows) and all(isinstance(r[i], int | float) or r[i] is None for r in rows)
        table.add_column(Text(_text(name)), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(value)) for value in row))
    # a pipe has no width: let every column have what it needs
    width = None if sys.stdout.isatty() else 200
    # each cell is a Text: a Table would read [red] and [/] in a str as markup
    Console(width=width).print(table)


def print_query(con: duckdb.DuckDBPyConnection, query: str, output: str) -> None:
    """Run one query and print its rows as 'table', 'csv' or 'json'.

    Raises:
        ConfigError: the query is wrong, or there are several.
    """
    try:
        statements = con.extract_statements(query)
        if len(statements) != 1:
            raise ConfigError(f"sql: one query at a time, these are {len(statements)}")
        result = con.execute(statements[0])
        names = [column[0] for column in result.description or []]
        rows = result.fetchall()
    except duckdb.Error as error:
        raise ConfigError(f"sql: {_told(error)}") from error
    if output == "table":
        print_rows(names, rows)
    elif output == "csv":
        writer = csv.writer(sys.stdout)
        # a CSV file is opened in a spreadsheet, where =1+1 would be computed
        writer.writerow([_cell(name) for name in names])
        writer.writerows([[_cell(value) for value in row] for row in rows])
    else:
        records = [dict(zip(names, row, strict=True)) for row in rows]
        print(safe_json(records))


def _told(error: duckdb.Error) -> str:
    """What DuckDB says of a query in one line: the fault, names that were perhaps meant, and the place.

    It draws the place as `LINE 1: ...` with a caret below; here stands what the caret points to.
    """
    lines = str(error).splitlines()
    said = " ".join(line.strip() for line in takewhile(str.strip, lines))
    for line, below in pairwise(lines):
        at = below.find("^")
        # the caret counts columns of a terminal, where Chinese letters take two
        if line.startswith("LINE ") and below.strip() == "^" and line.isascii():
            return f"{said} ({line.split(':')[0].lower()}, at: {line[at : at + 30]})"
    return said


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else visible(str(value))


def _cell(value: Any) -> Any:
    """A value in a CSV file; what is no plain number is written as the text it is."""
    if value is None or isinstance(value, int | float | Decimal):
        return value
    text = safe_cell(str(value))
    return visible(text) if sys.stdout.isatty() else text.encode("utf-8", "replace").decode()
