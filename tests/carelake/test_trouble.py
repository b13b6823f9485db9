from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from carelake import pipeline
from carelake.errors import ConfigError, RunFailed
from carelake.progress import Progress
from carelake.settings import Context, Home
from carelake.sources import batches
from carelake.sources.extract import extract_source
from carelake.trouble import as_told

SOURCES = """
    sources:
      - {name: notes, kind: files, path: notes.csv, format: csv, entity: communications, columns: {body: text}}
"""


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def wrapped(inner: Exception, outer: Exception) -> Exception:
    try:
        try:
            raise inner
        except Exception as error:
            raise outer from error
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk of /lake is full"),
        (sqlite3.OperationalError("database or disk is full"), "the disk of /lake is full"),
        (
            wrapped(OSError(errno.ENOSPC, "No space left on device"), RunFailed("dbt: stg_x")),
            "the disk of /lake is full",
        ),
        (wrapped(sqlite3.OperationalError("locked"), ValueError("x")), "MLflow's store sqlite:"),
        (PermissionError(errno.EACCES, "Permission denied", "/lake/x"), "/lake/x: Permission"),
        (duckdb.IOException("IO Error: torn\nmore"), "IO Error: torn"),
        (ConfigError("sources.yml: wrong"), "sources.yml: wrong"),
    ],
)
def test_what_the_machine_does_is_told_in_one_line(error: Exception, expected: str) -> None:
    told = as_told(error, Home(Path("/lake")), "load")
    assert told is not None
    assert expected in str(told) and "\n" not in str(told)


@pytest.mark.parametrize("error", [KeyError("x"), duckdb.BinderException("no such column")])
def test_a_fault_of_our_own_is_not_blamed_on_the_machine(error: Exception) -> None:
    assert as_told(error, Home(Path("/lake")), "load") is None


def test_a_full_disk_ends_an_extract_and_is_not_held_against_the_source(
    tmp_path: Path, make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = make_context(SOURCES)
    (tmp_path / "notes.csv").write_text("text\nhello\n")
    monkeypatch.setattr(batches.os, "fsync", full_disk)
    with pytest.raises(RunFailed, match="notes-000001: cannot be written"):
        extract_source(ctx.sources.sources[0], ctx.config_dir, ctx.home.landing)


def test_a_step_that_the_machine_failed_is_recorded_and_a_failing_record_hides_nothing(
    make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = make_context(SOURCES)
    monkeypatch.setitem(pipeline.STEPS, "load", full_disk)
    with pytest.raises(RunFailed, match="load: the disk of .* is full"):
        pipeline.perform(ctx, "load", Progress(quiet=True))
    with duckdb.connect(str(ctx.home.warehouse), read_only=True) as con:
        (row,) = con.execute("select step, outcome from ops.steps").fetchall()
    assert row == ("load", "failed")
    ctx.home.warehouse.unlink()
    with pytest.raises(RunFailed, match="load: the disk of .* is full"):
        pipeline.perform(ctx, "load", Progress(quiet=True))
