"""One writer: the flock, and connections that carry the pepper."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from carelake.errors import ConfigError, RunFailed, WriterBusy
from carelake.settings import Home
from carelake.sql_text import first_line as first_line
from carelake.sql_text import ident as ident
from carelake.sql_text import literal as literal
from carelake.sql_text import quote as quote
from carelake.warehouse.migrations import migrate

STORAGE = "v1.4.0"
"""DuckDB's oldest version that can open the warehouse."""
VACUUM_TASKS = 3
"""Small row groups that a checkpoint may join; enough for a day's batches."""

_held: dict[str, int] = {}
"""Depth of the locks this process holds, by path: a step may call another."""


def read_pepper(home: Home) -> str:
    """The secret behind every key: `CARELAKE_PEPPER`, else the home's file.

    Raises:
        ConfigError: there is neither.
    """
    named = os.environ.get("CARELAKE_PEPPER")
    if named:
        return named
    try:
        return home.pepper_file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigError(
            f"{home.pepper_file}: no pepper; run `carelake init`, or set CARELAKE_PEPPER "
            "to the one this home was made with"
        ) from error


def make_pepper(home: Home) -> None:
    """Write a new pepper (mode 0600) unless there is one."""
    if os.environ.get("CARELAKE_PEPPER") or home.pepper_file.exists():
        return
    handle = os.open(home.pepper_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")


@contextmanager
def write_lock(
    home: Home,
    purpose: str,
    *,
    wait_seconds: float = 900,
    say: Callable[[str], None] | None = None,
    poll_seconds: float = 0.1,
) -> Iterator[None]:
    """Hold the home's one writer's lock; while waiting, say who holds it.

    The kernel frees an flock when its holder dies, so a killed run leaves no lock behind.

    Args:
        say: where to name the holder; standard error without, for nobody should wait unknowing.
        poll_seconds: how often to look; between two steps of a run the lock is free for a moment.

    Raises:
        WriterBusy: another writer kept it for longer than `wait_seconds`.
    """
    key = str(home.lock)
    if _held.get(key):
        _held[key] += 1
        try:
            yield
        finally:
            _held[key] -= 1
        return
    home.root.mkdir(parents=True, exist_ok=True)
    handle = os.open(home.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(handle, home.lock, wait_seconds, poll_seconds, say or tell)
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "purpose": purpose}
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(holder).encode(), 0)
        _held[key] = 1
        try:
            yield
        finally:
            _held[key] = 0
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _acquire(
    handle: int, path: Path, wait_seconds: float, poll: float, say: Callable[[str], None]
) -> None:
    deadline = time.monotonic() + wait_seconds
    told = False
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() >= deadline:
            raise WriterBusy(f"{path}: still held by {_holder(handle)}; wait for it or stop it")
        if not told:
            say(f"waiting for the warehouse, held by {_holder(handle)}")
            told = True
        time.sleep(poll)


def tell(text: str) -> None:
    """One line for the person at the terminal, apart from what a command gives."""
    print(text, file=sys.stderr, flush=True)


def _holder(handle: int) -> str:
    """Who holds the lock, by the name it wrote there; a killed holder's name does not count."""
    owner = _owner(handle)
    try:
        holder = json.loads(os.pread(handle, 4096, 0))
        if owner in (None, holder["pid"]) or holder["host"] != socket.gethostname():
            return f"`{holder['purpose']}` (process {holder['pid']} on {holder['host']})"
    except (ValueError, KeyError):
        pass
    return f"process {owner}, which is none of ours" if owner else "another process"


@dataclass(frozen=True)
class LockState:
    """The writer's lock as it is now.

    Attributes:
        pid: of the holder, None when nobody holds it or the kernel does not say who.
        purpose: what a writer of ours wrote there, '' without. One that is not held and has a
            purpose was left by a writer that was killed.
    """

    is_held: bool
    pid: int | None = None
    host: str = ""
    purpose: str = ""


def lock_state(home: Home) -> LockState:
    """Who holds the writer's lock; looks, and does not wait."""
    try:
        handle = os.open(home.lock, os.O_RDWR)
    except OSError:
        return LockState(is_held=False)
    try:
        said: dict[str, Any] = {}
        with contextlib.suppress(ValueError):
            said = json.loads(os.pread(handle, 4096, 0))
        owner = _owner(handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = owner or said.get("pid")
            is_ours = said.get("pid") == pid
            purpose = str(said.get("purpose", "")) if is_ours else ""
            return LockState(True, pid, str(said.get("host", "")), purpose)
        return LockState(False, None, str(said.get("host", "")), str(said.get("purpose", "")))
    finally:
        os.close(handle)


def _owner(handle: int) -> int | None:
    """The process that holds the flock, as the kernel lists it; None where it does not say."""
    inode = os.fstat(handle).st_ino
    with contextlib.suppress(OSError):
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
                return int(fields[4])
    return None


@contextmanager
def connect(
    home: Home, *, threads: int = 2, memory: str | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse for writing; call under `write_lock`.

    A home made by an earlier Carelake is brought up to this one first.

    Raises:
        RunFailed: a stranger holds the file, or it is no DuckDB file.
        ConfigError: the home has not been initialised, or a newer Carelake wrote it.
    """
    if not home.is_initialised():
        raise ConfigError(f"{home.root}: not a Carelake home yet; run `carelake init`")
    con = open_file(home.warehouse, home, threads=threads, memory=memory)
    try:
        migrate(con, home.root)
        yield con
    finally:
        con.close()


def create_file(path: Path) -> None:
    """Make an empty warehouse, in a format that packs texts faster and smaller than DuckDB's default.

    What is published keeps the default, which every DuckDB client can read.
    """
    duckdb.connect(str(path), config={"storage_compatibility_version": STORAGE}).close()


def open_file(
    path: Path, home: Home, *, threads: int = 2, memory: str | None = None, read_only: bool = False
) -> duckdb.DuckDBPyConnection:
    """A connection as every part of Carelake wants it: UTC, pepper, nothing downloaded."""
    config: dict[str, Any] = {"threads": threads} | ({"memory_limit": memory} if memory else {})
    try:
        con = duckdb.connect(str(path), read_only=read_only, config=config)
    except duckdb.IOException as error:
        raise RunFailed(f"{path}: cannot be opened ({first_line(error)})") from error
    con.execute("set TimeZone = 'UTC'")
    # a checkpoint would write most of a large load a second time, to fill half-full row groups
    con.execute(f"set max_vacuum_tasks = {VACUUM_TASKS}")
    con.execute("set autoinstall_known_extensions = false")
    con.execute(f"set variable pepper = '{quote(read_pepper(home))}'")
    return con


def insert_rows(
    con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Mapping[str, object]], more: str = ""
) -> None:
    """Insert a few rows by column name; the table's types decide.

    They travel as one JSON literal: at the first parameter of any kind DuckDB's client imports
    pandas, which costs a short process most of a second.

    Args:
        more: what follows the select, as in `on conflict ...`.
    """
    if not rows:
        return
    names = list(rows[0])
    shape = json.dumps([dict.fromkeys(names, "VARCHAR")])
    fields = ", ".join(f"r.{ident(name)} as {ident(name)}" for name in names)
    given = [{n: _plain(value) for n, value in row.items()} for row in rows]
    text = json.dumps(given, ensure_ascii=False)
    con.execute(
        f"insert into {table} by name select {fields} "
        f"from (select unnest(from_json({literal(text)}::json, '{quote(shape)}')) as r) {more}"
    )


def _plain(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def has_table(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> bool:
    """Whether a table or view is there."""
    row = con.execute(
        "select count(*) from information_schema.tables "
        f"where table_schema = {literal(schema)} and table_name = {literal(name)}"
    ).fetchone()
    return bool(row and row[0])


def now_utc() -> dt.datetime:
    """The clock; used for records about runs, never for what they compute."""
    return dt.datetime.now(dt.UTC)
