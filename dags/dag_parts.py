"""What the DAG files share: names, defaults, and the one way a task calls the pipeline.

Nothing is decided here; `carelake.pipeline` does the work and imports what it needs inside tasks.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, get_current_context, task

from carelake.source_list import SourceList

WRITER_POOL = "warehouse_writer"
"""One slot: the warehouse has one writer, so the others wait without holding a worker."""

START = datetime(2024, 1, 1, tzinfo=UTC)
CHAMPION = Asset(name="champion", uri="carelake://models/champion")

DEFAULTS: dict[str, Any] = {
    "owner": "data-engineering",
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=1),
}


def source_list() -> SourceList:
    """The configured sources; a fault in the file becomes a DAG import error that names it."""
    return SourceList.load(Path(os.environ.get("CARELAKE_SOURCES") or "sources.yml"))


def landing(source: str) -> Asset:
    """The asset that says: this source brought something new into the warehouse."""
    return Asset(name=f"landing_{source}", uri=f"carelake://landing/{source}")


def ingest_dag_id(source: str) -> str:
    """Name of a source's DAG."""
    return f"ingest_{source}"


def step(
    name: str,
    *,
    sources: list[str] | None = None,
    may_skip: bool = False,
    is_gate: bool = False,
    outlet: Asset | None = None,
    **options: Any,
) -> Any:
    """A task that runs one step of the pipeline.

    Args:
        name: the step, which is also the task's id.
        sources: only for these sources.
        may_skip: "nothing new" skips this task and what follows, and sends no asset event.
        is_gate: a verdict, which asking again would not change: a failure is not retried.
        outlet: asset told about a success, with rows and timing.
        options: of the operator, such as `pool`.
    """

    @task(task_id=name, outlets=[outlet] if outlet else None, **options)
    def run() -> dict[str, Any]:
        return run_step(name, sources, may_skip=may_skip, is_gate=is_gate, outlet=outlet)

    return run()


def run_step(
    name: str,
    sources: list[str] | None = None,
    *,
    may_skip: bool = False,
    is_gate: bool = False,
    outlet: Asset | None = None,
) -> dict[str, Any]:
    """Run a step inside a task and show what it did: as XCom, and on the asset's event."""
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    from carelake import pipeline
    from carelake.errors import CarelakeError, ConfigError

    context = get_current_context()
    try:
        chosen = {"sources": sources} if sources else {}
        # progress goes to standard error, which a task's log would paint red
        with contextlib.redirect_stderr(sys.stdout):
            result = pipeline.run_step(name, run_id=context["run_id"], **chosen)
    except CarelakeError as error:
        failure = {"step": name, "outcome": "failed", "summary": str(error)}
        context["ti"].xcom_push("return_value", failure)
        # neither a wrong setting nor a verdict mends itself: do not try again
        if is_gate or isinstance(error, ConfigError):
            raise AirflowFailException(str(error)) from error
        raise
    if may_skip and result["outcome"] == "nothing_new":
        context["ti"].xcom_push("return_value", result)
        raise AirflowSkipException(result["summary"])
    if outlet:
        context["outlet_events"][outlet].extra = result
    return result


def wait_for_ingests(sources: list[str], seconds: float) -> dict[str, Any]:
    """Wait inside a task until no ingest run is queued or running.

    Args:
        sources: whose ingests.
        seconds: patience; it begins anew with each source that arrives.
    """
    ti = get_current_context()["ti"]
    began = last_arrival = time.monotonic()
    busy = sources
    while True:
        still = [
            source
            for source in busy
            if ti.get_dr_count(ingest_dag_id(source), states=["queued", "running"])
        ]
        now = time.monotonic()
        if len(still) < len(busy):
            last_arrival = now
        busy = still
        if not busy or now - last_arrival > seconds:
            break
        time.sleep(1)
    waited = time.monotonic() - began
    summary = f"went on without {', '.join(busy)}" if busy else "every source has arrived"
    return {"step": "settle", "outcome": "done", "seconds": round(waited, 1), "summary": summary}
