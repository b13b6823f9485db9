"""What the DAG files share: names, defaults, and the one way a task calls the pipeline.

Nothing is decided here; `carelake.pipeline` does the work and imports what it needs inside tasks.
"""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import (
    Asset,
    CronDataIntervalTimetable,
    Param,
    PokeReturnValue,
    get_current_context,
    task,
)
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from carelake import airflow_alerts, last_good
from carelake.errors import ConfigError
from carelake.setting_groups.alerts import Deadlines
from carelake.settings import Home, Settings
from carelake.source import Source
from carelake.source_list import SourceList

if TYPE_CHECKING:
    from airflow.sdk import Context

WRITER_POOL = "warehouse_writer"
"""One slot: the warehouse has one writer, so the others wait without holding a worker."""

START = datetime(2024, 1, 1, tzinfo=UTC)
CHAMPION = Asset(name="champion", uri="carelake://models/champion")
AGED = Asset(name="aged_champion", uri="carelake://models/aged")

DEFAULTS: dict[str, Any] = {
    "owner": "data-engineering",
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=1),
    "on_failure_callback": airflow_alerts.task_failed,
}

WINDOW = {
    "since": Param(
        None,
        type=["null", "string"],
        format="date-time",
        title="Since",
        description="Take only what came at this time or later. Empty: everything that is new",
    ),
    "until": Param(
        None,
        type=["null", "string"],
        format="date-time",
        title="Until",
        description="Take only what came before this time. Empty: up to now",
    ),
}
"""Form fields of a run started by hand."""


def source_list() -> SourceList:
    """The configured sources, as they were last right."""
    return last_good.sources(Home.from_environment(), _sources_path())[0]


def settings() -> Settings:
    """What `carelake.yml` says, as it was last right."""
    path = _sources_path().parent / "carelake.yml"
    return last_good.settings(Home.from_environment(), path)[0]


def configuration_fault() -> ConfigError | None:
    """What is wrong in the configuration as it is now; it names file, key and mend."""
    path, home = _sources_path(), Home.from_environment()
    faults = (
        last_good.sources(home, path)[1],
        last_good.settings(home, path.parent / "carelake.yml")[1],
    )
    return next(filter(None, faults), None)


def _sources_path() -> Path:
    return Path(os.environ.get("CARELAKE_SOURCES") or "sources.yml")


def landing(source: str) -> Asset:
    """The asset that says: this source brought something new into the warehouse."""
    return Asset(name=f"landing_{source}", uri=f"carelake://landing/{source}")


def ingest_dag_id(source: str) -> str:
    """Name of a source's DAG."""
    return f"ingest_{source}"


def timetable(source: Source) -> CronDataIntervalTimetable | None:
    """When a source runs; each run has the time since the one before as its data interval."""
    return CronDataIntervalTimetable(source.schedule, timezone="UTC") if source.schedule else None


def deadlines() -> Deadlines:
    """Minutes each kind of run has."""
    return settings().alerts.deadline_minutes


def deadline(minutes: int, owner: str, triage: str) -> DeadlineAlert:
    """Tell somebody when a run did not end in its time. It needs no triggerer."""
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=minutes),
        callback=SyncCallback(
            airflow_alerts.deadline_missed, kwargs={"owner": owner, "triage": triage}
        ),
        name=f"ends within {minutes} minutes",
    )


def step(
    name: str,
    *,
    sources: list[str] | None = None,
    windowed: bool = False,
    may_skip: bool = False,
    is_gate: bool = False,
    outlet: Asset | None = None,
    **options: Any,
) -> Any:
    """A task that runs one step of the pipeline.

    Args:
        name: the step, which is also the task's id.
        sources: only for these sources.
        windowed: hand `since` and `until` of the run down to the step.
        may_skip: "nothing new" skips this task and what follows, and sends no asset event.
        is_gate: a verdict, which asking again would not change: a failure is not retried.
        outlet: asset told about a success, with rows and timing.
        options: of the operator, such as `pool`.
    """

    # a dict would be inferred to be several outputs: one call of the API for each of its keys
    @task(task_id=name, outlets=[outlet] if outlet else None, multiple_outputs=False, **options)
    def run() -> dict[str, Any]:
        chosen: dict[str, Any] = {"sources": sources} if sources else {}
        if windowed:
            chosen |= window(get_current_context())
        return run_step(name, chosen, may_skip=may_skip, is_gate=is_gate, outlet=outlet)

    return run()


def window(context: Context) -> dict[str, str]:
    """What a run is restricted to: the form's fields; else, in a backfill, its data interval.

    Any other run takes everything that is new: what came late must not wait for a person.
    """
    chosen = {key: context["params"].get(key) for key in WINDOW}
    run = context["dag_run"]
    if not any(chosen.values()) and str(getattr(run.run_type, "value", run.run_type)) == "backfill":
        chosen = {
            "since": run.data_interval_start and run.data_interval_start.isoformat(),
            "until": run.data_interval_end and run.data_interval_end.isoformat(),
        }
    return {key: str(value) for key, value in chosen.items() if value}


def run_step(
    name: str,
    options: dict[str, Any] | None = None,
    *,
    may_skip: bool = False,
    is_gate: bool = False,
    outlet: Asset | None = None,
) -> dict[str, Any]:
    """Run a step inside a task and show what it did: as XCom, and on the asset's event."""
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    from carelake import pipeline
    from carelake.errors import CarelakeError
    from carelake.progress import TaskProgress

    context = get_current_context()
    ti = context["ti"]
    progress = TaskProgress(lambda line: ti.xcom_push("progress", line))
    try:
        # what is said on standard error would be painted red in a task's log
        with contextlib.redirect_stderr(sys.stdout):
            result = pipeline.run_step(
                name, run_id=context["run_id"], progress=progress, **(options or {})
            )
    except CarelakeError as error:
        failure = {"step": name, "outcome": "failed", "summary": str(error)}
        ti.xcom_push("return_value", failure)
        # neither a wrong setting nor a verdict mends itself: do not try again
        if is_gate or isinstance(error, ConfigError):
            raise AirflowFailException(str(error)) from error
        raise
    airflow_alerts.step_told(dict(context), result)
    if may_skip and result["outcome"] == "nothing_new":
        ti.xcom_push("return_value", result)
        raise AirflowSkipException(result["summary"])
    if outlet:
        context["outlet_events"][outlet].extra = result
    return result


def look_for_ingests(sources: list[str], seconds: float) -> PokeReturnValue:
    """Whether no ingest run is queued or running any more, or patience is at its end.

    Args:
        sources: whose ingests.
        seconds: patience; it begins anew with each source that has arrived.
    """
    from carelake import settling

    context = get_current_context()
    ti = context["ti"]

    def is_busy(source: str) -> bool:
        return bool(ti.get_dr_count(ingest_dag_id(source), states=["queued", "running"]))

    state = Home.from_environment().state
    found = settling.look(state, context["run_id"], sources, is_busy, seconds)
    result = {
        "step": "settle",
        "outcome": "done",
        "seconds": found.seconds,
        "summary": found.summary,
    }
    print(found.summary)
    return PokeReturnValue(is_done=found.done, xcom_value=result if found.done else None)
