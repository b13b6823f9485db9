"""What the readers of databases have in common: columns, bounds, and the statement they make."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from carelake.sources.connections import Connection
from carelake.sources.patience import Refused

CONNECT_SECONDS = 20
Bound = int | dt.datetime
"""A number, an aware time, or a time as the table has it, without a zone."""


class Grows(Enum):
    """What tells new rows from old ones in a column."""

    moment = "time with a zone"
    local = "time without a zone"
    number = "number"
    no = "neither a time nor a whole number"


@dataclass(frozen=True)
class Column:
    """A column of what is read.

    Attributes:
        expression: SQL that gives it in a form that Parquet holds exactly.
    """

    name: str
    grows: Grows
    expression: str


@dataclass(frozen=True)
class Slice:
    """Rows from `since` up to but not including `until`; rows without a value with those from it.

    Attributes:
        most: rows at most.
    """

    column: Column | None = None
    since: Bound | None = None
    until: Bound | None = None
    most: int | None = None


class Store(Protocol):
    """An open database, in which nothing can be changed."""

    def close(self) -> None:
        """End the session."""

    def now(self) -> dt.datetime:
        """The server's clock."""

    def relation(self, table: str) -> str:
        """A select of everything in a table."""

    def columns(self, query: str) -> list[Column]:
        """What a select gives.

        Raises:
            Refused: it is no select, or may not be run.
        """

    def write(self, query: str, columns: Sequence[Column], part: Slice, path: Path) -> None:
        """Write what a select finds to a Parquet file, all of one moment."""

    def count(self, query: str, columns: Sequence[Column], part: Slice) -> int:
        """How many rows a select finds."""


def statement(
    query: str, columns: Sequence[Column], part: Slice, literal: dict[Grows, str], quote: str
) -> str:
    """A select around a select.

    Args:
        literal: how a bound is written, by what its column is.
        quote: the mark around names.
    """
    chosen = ", ".join(f"{c.expression} as {quoted(c.name, quote)}" for c in columns)
    wheres = []
    if part.column is not None:
        name, form = f"q.{quoted(part.column.name, quote)}", literal[part.column.grows]
        if part.since is not None:
            later = f"{name} >= {form.format(_written(part.since))}"
            wheres.append(later if part.until else f"({later} or {name} is null)")
        if part.until is not None:
            wheres.append(f"{name} < {form.format(_written(part.until))}")
    where = f"\nwhere {' and '.join(wheres)}" if wheres else ""
    limit = "" if part.most is None else f"\nlimit {part.most:d}"
    # a comment may end the query
    return f"select {chosen}\nfrom (\n{query}\n) as q{where}{limit}"


def counting(
    query: str, columns: Sequence[Column], part: Slice, literal: dict[Grows, str], quote: str
) -> str:
    """The statement that counts what `statement` would find."""
    one = statement(one_select(query), columns[:1], part, literal, quote)
    return f"select count(*) from (\n{one}\n) as counted"


def _written(bound: Bound) -> str:
    if isinstance(bound, int):
        return f"{bound:d}"
    naive = bound.astimezone(dt.UTC).replace(tzinfo=None) if bound.tzinfo else bound
    return naive.isoformat(sep=" ", timespec="microseconds")


def quoted(name: str, mark: str) -> str:
    """A name for use in SQL."""
    return mark + name.replace(mark, 2 * mark) + mark


def one_select(query: str) -> str:
    """A query without what ends it."""
    return query.strip().rstrip(";").rstrip()


def grown(name: str, columns: Sequence[Column]) -> Column:
    """The column that tells new rows from old ones.

    Raises:
        Refused: it is not there, or does not grow.
    """
    exact = [c for c in columns if c.name == name]
    found = exact or [c for c in columns if c.name.casefold() == name.casefold()]
    if not found:
        there = ", ".join(c.name for c in columns)
        raise Refused(0, f"incremental.column {name} is not there; there are: {there}")
    if found[0].grows is Grows.no:
        raise Refused(
            0, f"incremental.column {name} is {Grows.no.value}; name another, or read a query"
        )
    return found[0]


def need_server(connection: Connection, port: int) -> tuple[str, int, str]:
    """Host, port and login of a connection.

    Raises:
        ConfigError: one is missing.
    """
    return connection.need("host"), connection.port or port, connection.need("login")
