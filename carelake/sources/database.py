"""Kinds `postgres` and `mysql`: read a table or query in one read-only transaction, land Parquet.

The cursor holds the newest value of the incremental column, and what the rows of the look-back
looked like: they are read each time, and landed when one of them is new or another than before.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from carelake.errors import ConfigError
from carelake.setting_groups.base import as_time
from carelake.source import Source
from carelake.source_kinds.database import (
    LOOK_BACK_OF_NUMBERS,
    LOOK_BACK_OF_TIMES,
    DatabaseSettings,
)
from carelake.sources.batches import ExtractResult, Place, begin_extract, write_batch
from carelake.sources.connections import Connection, find_connection
from carelake.sources.counting import Counted
from carelake.sources.patience import Passing, Refused, patiently, told
from carelake.sources.store import Bound, Column, Grows, Slice, Store, grown
from carelake.sql_text import ident, literal
from carelake.window import EVERYTHING, Window

PROBE_ROWS = 100


@dataclass(frozen=True)
class Rows:
    """What was read.

    Attributes:
        part: the slice of the table it is.
        clock: the server's time when the reading began.
        tries: readings it took.
    """

    path: Path
    part: Slice
    clock: dt.datetime
    tries: int
    seconds: float


def extract(
    source: Source,
    base: Path,
    landing: Path,
    window: Window = EVERYTHING,
    *,
    is_probe: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> ExtractResult:
    """Land what is new since the last reading, or in a window; without `incremental` everything.

    Args:
        window: rows whose incremental column lies in it; the cursor stays where it is.
        is_probe: read a few rows only.
        sleep: waits so many seconds between tries.
    """
    rule = _settings(source)
    connection: Connection | None = None
    with begin_extract(landing, source.name) as place:
        try:
            connection = find_connection(source.connection or "")
            tries = patiently(rule.attempts, sleep)
            rows = tries(_read, source, connection, place, window, is_probe, tries.statistics)
            return _land(source, rows, place, window)
        except (Passing, Refused, ConfigError) as error:
            return ExtractResult(
                source.name,
                "failed",
                message=told(source.connection, connection, error, rule.attempts),
            )


def count(source: Source, base: Path) -> Counted | None:
    """How many rows there are, of those we read.

    Raises:
        Passing, Refused: the database does not answer.
        ConfigError: the connection is missing or lacks something.
    """
    rule, connection = _settings(source), find_connection(source.connection or "")
    with contextlib.closing(_open(source.kind, connection)) as store:
        query = rule.query or store.relation(rule.table or "")
        columns = store.columns(query)
        part = _slice(source, columns, {}, EVERYTHING, is_probe=False)
        found = store.count(query, columns, part)
    return Counted(found, "all" if part.since is None else f"from {_told_bound(part.since)} on")


def _read(
    source: Source,
    connection: Connection,
    place: Place,
    window: Window,
    is_probe: bool,
    statistics: dict[str, Any],
) -> Rows:
    """Read once, from the beginning."""
    began, rule, path = time.monotonic(), _settings(source), place.draft / "rows.parquet"
    path.unlink(missing_ok=True)
    with contextlib.closing(_open(source.kind, connection)) as store:
        query = rule.query or store.relation(rule.table or "")
        columns, clock = store.columns(query), store.now()
        part = _slice(source, columns, place.cursor, window, is_probe)
        store.write(query, columns, part, path)
    return Rows(path, part, clock, statistics["attempt_number"], time.monotonic() - began)


def _open(kind: str, connection: Connection) -> Store:
    try:
        if kind == "postgres":
            from carelake.sources.postgres import Postgres as Opened
        else:
            from carelake.sources.mysql import MySQL as Opened  # type: ignore[assignment]
    except ModuleNotFoundError as error:
        raise ConfigError(f"kind {kind} needs {error.name}; install the extra `replica`") from error
    return Opened(connection)


def _slice(
    source: Source, columns: list[Column], cursor: dict[str, Any], window: Window, is_probe: bool
) -> Slice:
    """Which rows are asked for."""
    rule, most = _settings(source).incremental, PROBE_ROWS if is_probe else None
    if rule is None:
        if window:
            raise ConfigError("reads everything each time; a window needs database.incremental")
        return Slice(most=most)
    column = grown(rule.column, columns)
    if window:
        if column.grows is Grows.number:
            raise ConfigError(f"a window is of times; incremental.column {column.name} is a number")
        since, until = _bound(window.since, column, source), _bound(window.until, column, source)
        return Slice(column, since, until, most)
    newest = _remembered(cursor, column)
    if newest is None:
        return Slice(column, _bound(rule.initial, column, source), None, most)
    return Slice(column, _before(newest, _look_back(source, column)), None, most)


def _bound(given: int | dt.datetime | None, column: Column, source: Source) -> Bound | None:
    """A bound in the column's own terms."""
    if given is None:
        return None
    if isinstance(given, int) != (column.grows is Grows.number):
        raise ConfigError(
            f"incremental.initial does not fit: column {column.name} is a {column.grows.value}"
        )
    if isinstance(given, dt.datetime) and column.grows is Grows.local:
        return given.astimezone(ZoneInfo(source.timezone)).replace(tzinfo=None)
    return given


def _look_back(source: Source, column: Column) -> int | dt.timedelta:
    rule = _settings(source).incremental
    given = rule.look_back if rule else None
    if given is None:
        given = LOOK_BACK_OF_NUMBERS if column.grows is Grows.number else LOOK_BACK_OF_TIMES
    if isinstance(given, int) != (column.grows is Grows.number):
        raise ConfigError(
            f"incremental.look_back does not fit: column {column.name} is a {column.grows.value}; "
            "write 1h for times, 1000 for numbers"
        )
    return given if isinstance(given, int) else as_time(given)


def _before(newest: Bound, look_back: int | dt.timedelta) -> Bound:
    if isinstance(newest, int):
        assert isinstance(look_back, int)
        return newest - look_back
    assert isinstance(look_back, dt.timedelta)
    return newest - look_back


def _remembered(cursor: dict[str, Any], column: Column) -> Bound | None:
    """The newest value known; None when another column told it."""
    newest = cursor.get("newest") if cursor.get("column") == column.name else None
    if newest is None or isinstance(newest, int) != (column.grows is Grows.number):
        return None
    found = newest if isinstance(newest, int) else dt.datetime.fromisoformat(newest)
    if isinstance(found, dt.datetime) and (found.tzinfo is None) != (column.grows is Grows.local):
        return None
    return found


def _land(source: Source, rows: Rows, place: Place, window: Window) -> ExtractResult:
    with duckdb.connect(config={"threads": 2}) as con:
        con.execute("set TimeZone = 'UTC'")
        found = f"read_parquet({literal(str(rows.path))})"
        (n_rows,) = con.execute(f"select count(*) from {found}").fetchone() or (0,)
        if not n_rows and (place.cursor or source.mode == "append"):
            left = (
                "; the table is empty, what was loaded stays" if source.mode == "snapshot" else ""
            )
            return ExtractResult(source.name, "nothing_new", message=f"nothing new{left}")
        after = place.cursor if window else _cursor_after(con, found, source, rows, place.cursor)
    if not window and _is_known(place.cursor, after, n_rows):
        return ExtractResult(source.name, "nothing_new", message="nothing new")
    manifest = write_batch(
        place.landing,
        source,
        [(rows.path.name, rows.path)],
        number=place.number,
        extracted_at=dt.datetime.now(dt.UTC),
        cursor_before=place.cursor,
        cursor_after=after,
        window=window,
        details={
            "asked": {"since": _told_bound(rows.part.since), "until": _told_bound(rows.part.until)},
            "records": n_rows,
            "requests": rows.tries,
            "seconds": round(rows.seconds, 3),
        },
    )
    n_bytes = sum(file.n_bytes for file in manifest.files)
    message = f"{n_rows:,} rows, {n_bytes:,} bytes"
    return ExtractResult(source.name, "extracted", [manifest.batch_id], 1, n_bytes, message)


def _is_known(before: dict[str, Any], after: dict[str, Any], n_rows: int) -> bool:
    """Whether every row that came was landed before."""
    recent: dict[str, Any] = after["recent"]
    return before.get("recent") == recent and n_rows == int(recent["rows"])


def _cursor_after(
    con: duckdb.DuckDBPyConnection,
    found: str,
    source: Source,
    rows: Rows,
    before: dict[str, Any],
) -> dict[str, Any]:
    column = rows.part.column
    if column is None:
        return {"recent": _looks(con, found, "")}
    # a row from the future does not carry the cursor there
    newest = _newest(con, found, column, _bound_of_clock(rows.clock, column, source))
    known = _remembered(before, column)
    if newest is None or (known is not None and newest < known):  # type: ignore[operator]
        newest = known
    where = ""
    if newest is not None:
        edge = _before(newest, _look_back(source, column))
        value = _value(column)
        where = f"where {value} >= {_sql(edge, column)} or {value} is null"
    told = None if newest is None else _told_bound(newest)
    return {"column": column.name, "newest": told, "recent": _looks(con, found, where)}


def _newest(
    con: duckdb.DuckDBPyConnection, found: str, column: Column, clock: Bound | None
) -> Bound | None:
    value = _value(column)
    limit = "" if clock is None else f"where {value} <= {_sql(clock, column)}"
    # microseconds, as a time beyond Python's would be none
    chosen = f"max({value})" if column.grows is Grows.number else f"epoch_us(max({value}))"
    (newest,) = con.execute(f"select {chosen} from {found} {limit}").fetchone() or (None,)
    if newest is None or column.grows is Grows.number:
        return None if newest is None else int(newest)
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=newest)
    return moment if column.grows is Grows.moment else moment.replace(tzinfo=None)


def _bound_of_clock(clock: dt.datetime, column: Column, source: Source) -> Bound | None:
    if column.grows is Grows.number:
        return None
    return _bound(clock, column, source)


TYPE = {Grows.number: "hugeint", Grows.moment: "timestamptz", Grows.local: "timestamp"}


def _value(column: Column) -> str:
    return f"try_cast({ident(column.name)} as {TYPE[column.grows]})"


def _sql(bound: Bound, column: Column) -> str:
    return f"{literal(str(bound))}::{TYPE[column.grows]}"


def _looks(con: duckdb.DuckDBPyConnection, found: str, where: str) -> dict[str, Any]:
    """What some rows look like, in whichever order they came."""
    n_rows, digest = con.execute(
        f"select count(*), coalesce(sum(hash(r)), 0) from {found} as r {where}"
    ).fetchone() or (0, 0)
    return {"rows": n_rows, "digest": f"{int(digest):x}"}


def _told_bound(bound: Bound | None) -> int | str | None:
    return bound.isoformat() if isinstance(bound, dt.datetime) else bound


def _settings(source: Source) -> DatabaseSettings:
    assert source.database is not None
    return source.database
