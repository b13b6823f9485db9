"""Replay brings rows back exactly once, even when it is killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from carelake.errors import ConfigError
from carelake.settings import Context
from carelake.sources.extract import extract_source
from carelake.warehouse.load import load
from carelake.warehouse.quarantine import decide, replay, show

SOURCE = """
    sources:
      - name: calls
        kind: files
        path: inbox/*.csv
        format: csv
        delimiter: "{delimiter}"
        entity: communications
        columns: {{communication_id: id, body: text}}
"""
BATCHES = 3
# ends itself as `kill -9` would, the n-th time a function is called
KILLED = """
import os, signal, sys
from carelake import pipeline
from carelake.warehouse import load, quarantine
module, name, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
module = {"load": load, "quarantine": quarantine}[module]
original, calls = getattr(module, name), []
def killed(*arguments, **named):
    calls.append(1)
    if len(calls) == times:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **named)
setattr(module, name, killed)
quarantine.replay(pipeline.open_context())
"""


@pytest.fixture
def mended(tmp_path: Path, make_context: Callable[..., Context]) -> Context:
    """Three batches, each with two rows that the first mapping could not read; then the mend."""
    ctx = make_context(SOURCE.format(delimiter=";"))
    for number in range(1, BATCHES + 1):
        path = tmp_path / "inbox" / f"{number}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"id,text\n{number}a,x;y\n{number}b,z;z\n")
        extract_source(ctx.sources.sources[0], ctx.config_dir, ctx.home.landing)
    assert [batch.n_rejects for batch in load(ctx)] == [2] * BATCHES
    return make_context(SOURCE.format(delimiter=","))


def ask(ctx: Context, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(ctx.home.warehouse), read_only=True) as con:
        return con.execute(query).fetchall()


def every_row_is_there_once(ctx: Context) -> None:
    found = ask(ctx, "select communication_id, body from raw.communications order by 1")
    assert found == [
        row for n in range(1, BATCHES + 1) for row in ((f"{n}a", "x;y"), (f"{n}b", "z;z"))
    ]
    ledger = ask(ctx, "select batch_seq, n_physical, n_raw from ops.ledger order by 1")
    assert ledger == [(n, 2, 2) for n in range(1, BATCHES + 1)]
    assert show(ctx, None, 9) == []


def test_a_replay_after_a_replay_changes_nothing(mended: Context) -> None:
    assert [result.n_raw for result in replay(mended)] == [2] * BATCHES
    every_row_is_there_once(mended)
    assert replay(mended) == []
    replay(mended, [f"calls-{n:06d}" for n in range(1, BATCHES + 1)])
    every_row_is_there_once(mended)


@pytest.mark.parametrize(
    ("module", "name", "times", "done"),
    [
        ("quarantine", "load_batch", 1, 0),  # before anything
        ("load", "record_file", 2, 1),  # in the middle of a batch
        ("quarantine", "load_batch", 3, 2),  # between two batches
        ("quarantine", "write_ops", 1, 3),  # after the last
    ],
)
def test_a_replay_that_was_killed_is_finished_by_the_next(
    mended: Context, tmp_path: Path, module: str, name: str, times: int, done: int
) -> None:
    env = {**os.environ, "CARELAKE_SOURCES": str(tmp_path / "sources.yml")}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, module, name, str(times)],
        env=env, cwd=Path(__file__).parents[3], check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert ask(mended, "select count(*) from raw.communications") == [(2 * done,)]
    assert ask(mended, "select sum(n_physical) from ops.ledger") == [(2 * BATCHES,)]
    assert len(replay(mended)) == BATCHES - done
    every_row_is_there_once(mended)


def test_a_mapping_that_calls_the_records_something_else_leaves_none_behind(
    mended: Context, make_context: Callable[..., Context]
) -> None:
    replay(mended)
    again = SOURCE.format(delimiter=",").replace("communications", "events")
    again = again.replace("communication_id: id, body: text", "event_id: id, event_name: text")
    replay(make_context(again), ["calls-000001"])
    assert ask(mended, "select event_id from raw.events order by 1") == [("1a",), ("1b",)]
    left = ask(mended, "select communication_id from raw.communications order by 1")
    assert left == [("2a",), ("2b",), ("3a",), ("3b",)]


@pytest.mark.parametrize("word", ["released", "discarded"])
def test_what_a_person_decided_of_a_batch_stays_unless_the_batch_is_named(
    tmp_path: Path, make_context: Callable[..., Context], word: str
) -> None:
    ctx = make_context(SOURCE.format(delimiter=","))
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "1.csv").write_text("id,text\na,b\nc\n")
    (folder / "2.csv").write_text('"id,te"xt\n')
    extract_source(ctx.sources.sources[0], ctx.config_dir, ctx.home.landing)
    load(ctx)
    decide(ctx, "calls-000001", word)
    replay(ctx)
    assert ask(ctx, "select status, n_physical, n_raw from ops.ledger") == [(word, 3, 1)]
    replay(ctx, ["calls-000001"])
    assert ask(ctx, "select status, n_physical, n_raw from ops.ledger") == [("held", 3, 1)]


def test_a_damaged_manifest_stops_the_replay_of_its_source_and_of_no_other(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    one = SOURCE.format(delimiter=",")
    ctx = make_context(one + one.split("\n", 2)[2].replace("calls", "notes"))
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "1.csv").write_text("id,text\na,b\nc\n")
    for source in ctx.sources.sources:
        extract_source(source, ctx.config_dir, ctx.home.landing)
    load(ctx)
    (ctx.home.landing / "calls" / "calls-000001" / "manifest.json").write_text('{"batch')
    said: list[str] = []
    assert [result.batch_id for result in replay(ctx, say=said.append)] == ["notes-000001"]
    assert "is no manifest any more" in said[0] and said[1].endswith(": calls-000001")
    assert len(replay(ctx, ["notes-000001"], say=said.append)) == 1
    with pytest.raises(ConfigError, match="no batch 'calls-000001' is landed"):
        replay(ctx, ["calls-000001"], say=said.append)
