"""The steps in their one order; `carelake run` and the DAGs call these same functions."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
import uuid
from dataclasses import asdict
from typing import Any

from carelake import last_good
from carelake.errors import CarelakeError, RunFailed, WriterBusy
from carelake.progress import Progress
from carelake.settings import Context, Home, Settings, prepare_environment
from carelake.source_list import SourceList, source_list_path
from carelake.steps import STEPS, StepResult
from carelake.trouble import as_told

BUILD_STEPS = (
    "check_batches", "build_features", "score", "build_marts", "plan_follow_ups", "check_marts",
    "publish",
)  # fmt: skip
SEEN_ELSEWHERE = frozenset({"load", "has_news", "replicate", "apply_retention", "tidy"})
"""Steps that are not recorded when there was nothing to do."""


def open_context(run_id: str | None = None) -> Context:
    """Home, settings and sources as the environment names them; nothing is touched.

    Raises:
        ConfigError: settings, sources, rules or what lies in `custom/` are wrong.
    """
    home = Home.from_environment()
    prepare_environment(home)
    sources = SourceList.load(source_list_path(home))
    settings = Settings.load(sources.path.parent / "carelake.yml")
    return _checked(home, settings, sources, run_id)


def _scheduled_context(run_id: str | None, progress: Progress) -> Context:
    """As `open_context`; what is broken now counts as it last was right, and the log says so.

    A schedule goes on while somebody edits the files. Airflow shows the fault as an import error.
    """
    home = Home.from_environment()
    prepare_environment(home)
    sources, fault = last_good.sources(home, source_list_path(home))
    settings, other = last_good.settings(home, sources.path.parent / "carelake.yml")
    for broken in filter(None, (fault, other)):
        progress.say(f"going on with the last good configuration: {broken}")
    return _checked(home, settings, sources, run_id)


def _checked(home: Home, settings: Settings, sources: SourceList, run_id: str | None) -> Context:
    from carelake.followup.rules import load_rules
    from carelake.needs.taxonomy import load_taxonomy
    from carelake.warehouse.company import check_names

    load_rules(sources.path.parent)
    load_taxonomy(sources.path.parent)
    check_names(sources.path.parent)
    return Context(home, settings, sources, run_id or f"manual-{uuid.uuid4().hex[:8]}")


def perform(ctx: Context, name: str, progress: Progress, **options: Any) -> StepResult:
    """Run one step, time it, and record it where `status` and the dashboard look.

    Raises:
        CarelakeError: the step failed, or the machine failed it (a full disk, a lost database).
    """
    started = dt.datetime.now(dt.UTC)
    began = time.monotonic()
    try:
        result = STEPS[name](ctx, progress, **options)
        result.seconds = round(time.monotonic() - began, 2)
        _record(ctx, name, started, result)
        _tell_keepers(ctx, result)
    except WriterBusy as error:  # what it could not have, it cannot write in
        waited = StepResult(name, "failed", seconds=time.monotonic() - began)
        _tell_keepers(ctx, waited, error=error)
        raise
    except Exception as error:
        told = as_told(error, ctx.home, name)
        failed = StepResult(name, "failed", seconds=time.monotonic() - began)
        failed.summary = str(told or f"{type(error).__name__}: {error}")
        # what ended the step may keep us from writing that down: the step's error is the news
        _tell_keepers(ctx, failed, error=told or error)
        with contextlib.suppress(Exception):
            _record(ctx, name, started, failed)
            if name in BUILD_STEPS and told is not None:
                _tell_readers(ctx, progress, name, told)
        if told is None or told is error:
            raise
        raise told from error
    return result


def _record(ctx: Context, name: str, started: dt.datetime, result: StepResult) -> None:
    if name in ("extract", "check_freshness"):
        # they must not wait for a build; attempts lie beside the landing zone, silence in the ledger
        return
    if name in SEEN_ELSEWHERE and result.outcome == "nothing_new":
        return
    if name == "replicate":
        # nor must a replica wait for a build; what became of it lies in `state/replicas` in any case
        with contextlib.suppress(WriterBusy):
            _write_record(ctx, name, started, result, patience=5)
        return
    _write_record(ctx, name, started, result)


def _write_record(
    ctx: Context, name: str, started: dt.datetime, result: StepResult, patience: float = 900
) -> None:
    from carelake.warehouse import recorded
    from carelake.warehouse.connection import connect, write_lock

    with write_lock(ctx.home, "record step", wait_seconds=patience), connect(ctx.home) as con:
        row = {
            "run_id": ctx.run_id,
            "step": name,
            "started_at": started,
            "seconds": round(result.seconds, 3),
            "outcome": result.outcome,
            "rows": result.rows,
            "detail": result.summary,
        }
        recorded.record_step(con, row)
        is_shown = name in ("publish", "load", "apply_retention", "replicate")
        if is_shown or result.outcome == "failed":
            recorded.write_ops(con, ctx.home)


def _tell_keepers(ctx: Context, result: StepResult, error: Exception | None = None) -> None:
    """Into the journal and the metrics: what no reader of the marts needs, and an operator does."""
    from carelake import journal
    from carelake.keeping import metrics

    kind, why = (None, None) if error is None else journal.reason(error)
    for part in result.parts:
        journal.write(ctx.home, run_id=ctx.run_id, step=result.step, **part)
    journal.write(
        ctx.home,
        "step",
        run_id=ctx.run_id,
        step=result.step,
        outcome=result.outcome,
        rows=result.rows,
        seconds=round(result.seconds, 3),
        error=kind,
        reason=why,
    )
    with contextlib.suppress(Exception):  # a figure that cannot be told is no fault of the step
        now = dt.datetime.now(dt.UTC)
        metrics.note_step(ctx.home, result.step, result.outcome, result.rows, result.seconds, now)


def _tell_readers(ctx: Context, progress: Progress, name: str, error: CarelakeError) -> None:
    """Put a banner on what is published: a step of the build failed, so it grows old."""
    from carelake.warehouse.banner import raise_banner, read_banner

    public = getattr(error, "public", None)
    try:
        if public or not read_banner(ctx.home):
            raise_banner(ctx, public or f"{name} failed; `carelake status` says why")
    except Exception as trouble:  # a full disk, say: the step's own error is the one to report
        progress.say(f"readers could not be told: {trouble}")


def run_step(
    name: str, *, run_id: str | None = None, progress: Progress | None = None, **options: Any
) -> dict[str, Any]:
    """One step for a DAG task: plain values in and out.

    Args:
        run_id: the DAG run's.
        progress: where the step reports to; lines on standard error without.
        options: of the step, such as `sources`, or `since` and `until` of an extract.

    Raises:
        RunFailed: the step failed, or the one source it was to extract did, or a replica.
        ConfigError: settings, rules or sources are wrong.
    """
    progress = progress or Progress()
    ctx = _scheduled_context(run_id, progress)
    began_at = dt.datetime.now(dt.UTC).isoformat()
    result = perform(ctx, name, progress, **options)
    if name in ("extract", "replicate") and result.details.get("failed"):
        raise RunFailed("; ".join(f"{k}: {v}" for k, v in result.details["failed"].items()))
    said = asdict(result)
    del said["parts"]  # the journal has them; of a thousand batches they would fill an XCom
    return {
        **said,
        "began_at": began_at,
        **({"promoted": result.details["promoted"]} if name == "train" else {}),
    }


def run_all(
    ctx: Context, progress: Progress, sources: list[str] | None = None, *, anew: bool = False
) -> list[StepResult]:
    """All steps in order; the build is left out when there is nothing new.

    Replicas come last, whether or not something was published: one that failed is tried again.

    Args:
        anew: rebuild what is derived from what is recorded, instead of bringing in what is new.

    Raises:
        RunFailed: a step failed; what was published before stays.
    """
    done: list[StepResult] = []

    def step(name: str, **options: Any) -> StepResult:
        with progress.step(name) as note:
            result = perform(ctx, name, progress, **options)
            note.text, note.failed = result.summary, result.outcome == "failed"
        done.append(result)
        return result

    if anew:
        step("drop_derived")
    else:
        step("extract", sources=sources)
        step("load", sources=sources)
    if anew or step("has_news").outcome != "nothing_new":
        for name in BUILD_STEPS:
            step(name)
    if ctx.settings.replicas:
        step("replicate")
    return done
