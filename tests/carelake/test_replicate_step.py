"""Replicas are the last step of a run: their faults are told, tried again, and harm nobody else."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from carelake import pipeline
from carelake.errors import ConfigError, RunFailed
from carelake.progress import Progress
from carelake.reports.status import read_status
from carelake.settings import Context
from carelake.steps import StepResult
from carelake.warehouse.banner import read_banner
from carelake.warehouse.publish import current_version, publish
from carelake.warehouse.replicas import replicate
from carelake.warehouse.replicas.replicate import Replicated
from tests import small_marts

TWO = """
replicas:
  - {name: north, kind: postgresql, host: 127.0.0.1, port: 1, database: d, user: u}
  - {name: south, kind: mysql, host: 127.0.0.1, port: 1, user: u}
"""


@pytest.fixture
def ctx(make_context: Callable[..., Context]) -> Context:
    ctx = make_context("sources: []", settings=TWO)
    small_marts.make(ctx)
    publish(ctx)
    return ctx


def test_servers_that_are_away_are_told_and_what_is_published_stays(ctx: Context) -> None:
    result = pipeline.perform(ctx, "replicate", Progress(quiet=True))
    assert result.outcome == "failed" and set(result.details["failed"]) == {"north", "south"}
    assert "north: postgresql at 127.0.0.1:1/d: cannot be reached" in result.summary
    assert current_version(ctx.home) == 1 and read_banner(ctx.home) is None
    replicas = read_status(ctx.home)["replicas"]
    assert [(row["replica"], row["outcome"], row["version"]) for row in replicas] == [
        ("north", "failed", None), ("south", "failed", None),
    ]  # fmt: skip
    with duckdb.connect(str(ctx.home.ops), read_only=True) as con:
        steps = con.execute("select step, outcome, detail from steps").fetchall()
    assert steps == [("replicate", "failed", result.summary)]


def test_a_replica_that_failed_is_tried_again_when_nothing_new_was_published(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def fails_once(replica: replicate.Replica, *_: object, **__: object) -> Replicated:
        tried.append(replica.label)
        if tried == ["north"]:
            raise RunFailed("away")
        return Replicated(replica.label, "done", "version 1", 1)

    def nothing(*_: object, **__: object) -> StepResult:
        return StepResult("has_news", "nothing_new")

    monkeypatch.setattr(replicate, "replicate", fails_once)
    for name in ("extract", "load", "has_news"):
        monkeypatch.setitem(pipeline.STEPS, name, nothing)
    first = pipeline.run_all(ctx, Progress(quiet=True))
    assert tried == ["north", "south"]  # one's fault is not the other's
    assert first[-1].details["failed"] == {"north": "away"}
    assert pipeline.run_all(ctx, Progress(quiet=True))[-1].outcome == "done"
    assert [row["outcome"] for row in read_status(ctx.home)["replicas"]] == ["done", "done"]


def test_the_step_is_off_without_replicas(make_context: Callable[..., Context]) -> None:
    ctx = make_context("sources: []")
    said = io.StringIO()
    assert pipeline.perform(ctx, "replicate", Progress(said)).outcome == "nothing_new"
    assert not (ctx.home.state / "replicas").exists()


def test_it_needs_no_warehouse_and_holds_no_lock(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []

    def look(replica: replicate.Replica, *_: object, **__: object) -> Replicated:
        with duckdb.connect(str(ctx.home.warehouse)):  # nobody has it open
            held.append(bool(json.loads(ctx.home.lock.read_text() or "null")))
        return Replicated(replica.label, "nothing_new", "holds version 1 already", 1)

    monkeypatch.setattr(replicate, "replicate", look)
    pipeline.perform(ctx, "replicate", Progress(quiet=True))
    assert held == [False, False]


def test_a_name_that_is_no_replica_is_refused_with_those_there_are(ctx: Context) -> None:
    with pytest.raises(ConfigError, match="no replica is called 'nroth'; use one of north, south"):
        replicate.chosen(ctx, ["nroth"])


def test_where_the_marts_are_copied_is_no_reason_to_build_them_again(
    ctx: Context, tmp_path: Path
) -> None:
    from carelake.warehouse.recorded import _marker

    without = Context(
        ctx.home, ctx.settings.model_copy(update={"replicas": []}), ctx.sources, ctx.run_id
    )
    assert _marker(ctx, "b", "c") == _marker(without, "b", "c")
