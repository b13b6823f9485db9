"""Readers and publishing do not disturb each other, whoever the reader is and whatever it tries."""

from __future__ import annotations

import csv
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from carelake.settings import Context, Home, Settings
from carelake.source_list import SourceList
from carelake.warehouse.publish import current_version, publish, versions
from carelake.warehouse.setup import initialise
from tests import small_marts
from tests.small_marts import ROWS, edition, write

PUBLISHES = 50
# one row per read: version, edition and rows of both marts
QUERY = """
    select (select version from meta.publication) as version, notes.*, replies.*
    from (select count(*), min(edition), max(edition) from marts.marts.notes) as notes,
        (select count(*), min(edition), max(edition) from marts.marts.replies) as replies
"""
WHILE = """
import pathlib, sys, time
path, query, stop = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
def until_stopped(read):
    while not stop.exists():
        print(*read(), sep=",", flush=True)
        time.sleep(0.02)
"""
ANEW = (
    WHILE
    + """
import duckdb
def read():
    with duckdb.connect(path, read_only=True) as con:
        return con.execute(query).fetchone()
until_stopped(read)
"""
)
STAYING = (
    WHILE
    + """
import duckdb
with duckdb.connect(path, read_only=True) as con:
    until_stopped(lambda: con.execute(query).fetchone())
"""
)
# DuckDB's own command line, a process per read
COMMAND_LINE = (
    "set -e; while [ ! -e {stop} ]; do {duckdb} -readonly -csv -noheader {path} {query}; done"
)
# without it, a client that knows nothing of DuckDB: it follows the link once, and reads Parquet
PARQUET = (
    WHILE
    + """
import json
import pyarrow.compute as pc, pyarrow.parquet as pq
def read():
    folder = (pathlib.Path(path).parent / "current").resolve()
    found = [json.loads((folder / "publication.json").read_text())["version"]]
    for mart in ("notes", "replies"):
        column = pq.read_table(folder / f"{mart}.parquet", columns=["edition"])["edition"]
        found += [len(column), pc.min(column), pc.max(column)]
    return found
until_stopped(read)
"""
)
# Someone else on the machine, with every way there is to spoil a published file.
HOSTILE = """
import fcntl, os, pathlib, sys, time
import duckdb
path, stop, user = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
os.setgroups([]); os.setgid(user); os.setuid(user)
published = path.parent
def locked():
    with path.open("rb") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
attempts = {
    "open in the default mode": lambda: duckdb.connect(str(path)),
    "open for writing": lambda: os.open(path, os.O_RDWR),
    "lock": locked,
    "change its mode": lambda: path.chmod(0o666),
    "remove it": lambda: path.resolve().unlink(),
    "put another beside it": lambda: (path.resolve().parent / "marts.duckdb.wal").touch(),
    "turn the link": lambda: (published / "mine").symlink_to("/tmp"),
    "move the link": lambda: (published / "current").rename(published / "old"),
    "read the vault": lambda: duckdb.connect(str(published / "current" / "private.duckdb"), read_only=True),
    "open the warehouse": lambda: duckdb.connect(str(published.parent / "warehouse.duckdb"), read_only=True),
    "hold the writer's lock": lambda: os.open(published.parent / "warehouse.lock", os.O_RDONLY),
}
rounds = 0
while not stop.exists():
    for name, attempt in attempts.items():
        try:
            attempt()
        except (OSError, duckdb.IOException):
            continue
        sys.exit(f"could {name}")
    with duckdb.connect(str(path), read_only=True) as con:
        con.execute("from notes limit 1").fetchall()
    shared = path.open("rb")
    fcntl.lockf(shared, fcntl.LOCK_SH)  # all that a reader may do
    rounds += 1
    time.sleep(0.02)
print(rounds)
"""


@pytest.fixture
def open_home() -> Iterator[Context]:
    """A home that other users can reach, as pytest's own folders cannot be."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        (root / "sources.yml").write_text("sources: []")
        settings = Settings(kept_versions=20)
        ctx = Context(Home(root / "home"), settings, SourceList.load(root / "sources.yml"), "run")
        initialise(ctx)
        small_marts.make(ctx)
        publish(ctx)
        yield ctx


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None and sys.exc_info()[0]:
                process.kill()


def other_client(path: str, stop: str) -> tuple[str, list[str]]:
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    duckdb = shutil.which("duckdb", path=places)
    if duckdb is None:
        return "Parquet", [sys.executable, "-c", PARQUET, path, QUERY, stop]
    quoted = {"stop": stop, "duckdb": duckdb, "path": path, "query": f'"{" ".join(QUERY.split())}"'}
    return "command line", ["sh", "-c", COMMAND_LINE.format(**quoted)]


def reads(process: subprocess.Popen[str]) -> list[list[int]]:
    """What a reader saw: every read whole, and never an older version after a newer one."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    found = [[int(value) for value in line] for line in csv.reader(out.splitlines())]
    for version, rows, least, most, other_rows, other_least, other_most in found:
        assert least == most == other_least == other_most, (version, least, most)
        assert rows == other_rows == ROWS + least, (version, rows, least)
        assert version == least, (version, least)
    assert [read[0] for read in found] == sorted(read[0] for read in found)
    return found


@pytest.mark.slow
def test_readers_see_only_whole_versions_while_fifty_are_published(
    open_home: Context, tmp_path: Path
) -> None:
    path, stop = str(open_home.home.published / "marts.duckdb"), tmp_path / "stop"
    name, command = other_client(path, str(stop))
    with ExitStack() as stack:
        readers = {
            label: stack.enter_context(running(*call))
            for label, call in {
                "anew": [sys.executable, "-c", ANEW, path, QUERY, str(stop)],
                "anew too": [sys.executable, "-c", ANEW, path, QUERY, str(stop)],
                "staying": [sys.executable, "-c", STAYING, path, QUERY, str(stop)],
                name: command,
            }.items()
        }
        for process in readers.values():  # all of them read before the first publication
            assert process.stdout is not None
            process.stdout.readline()
        for number in range(2, PUBLISHES + 2):
            write(open_home, number)
            publish(open_home)
        stop.touch()
        seen = {label: {read[0] for read in reads(process)} for label, process in readers.items()}
    assert seen["staying"] == {
        1
    }  # a connection stays with the version it opened, though that is gone
    assert 1 not in versions(open_home.home)
    for label in ("anew", "anew too", name):
        assert len(seen[label]) > 5, label


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")
def test_another_user_can_neither_lock_nor_change_what_is_published(
    open_home: Context, tmp_path: Path
) -> None:
    path, stop = str(open_home.home.published / "marts.duckdb"), tmp_path / "stop"
    stop_seen = open_home.home.root.parent / "stop"  # where the other user sees it too
    nobody = str(pwd.getpwnam("nobody").pw_uid)
    with running(sys.executable, "-c", HOSTILE, path, str(stop_seen), nobody) as hostile:
        with running(sys.executable, "-c", ANEW, path, QUERY, str(stop)) as reader:
            for number in range(2, 12):
                write(open_home, number)
                publish(open_home)
            stop.touch()
            assert len(reads(reader)) > 2
        stop_seen.touch()
        out, err = hostile.communicate(timeout=60)
    assert (hostile.returncode, err) == (0, "")
    assert int(out) > 2
    assert current_version(open_home.home) == 11
    assert edition(open_home) == 11
