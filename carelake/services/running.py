"""`make run`: the whole flow once, by a real Airflow, from nothing to a published lake."""

from __future__ import annotations

import contextlib
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from carelake.errors import RunFailed
from carelake.services import airflow
from carelake.services.airflow_api import ACTIVE, AirflowApi
from carelake.services.company import ensure_company

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from carelake.settings import Home

BUILD = "build_marts"
INGEST = "ingest_"
POLL_SECONDS = 0.5
ENDED = frozenset({"success", "skipped", "failed", "up_for_retry"})
LATE_SECONDS = 60.0
"""A source whose own schedule did not start it by then is triggered."""


def run(home: Home, say: Callable[[str], None], limit_seconds: float = 3600.0) -> list[str]:
    """Set up the home if needed, let Airflow run every source and the build, stop Airflow again.

    An Airflow of this home that already ran is used and left running.

    Args:
        home: the data directory.
        say: takes one line of progress at a time.
        limit_seconds: give up after so long.

    Returns:
        One line per failed task, naming its log file; empty when everything was green.

    Raises:
        RunFailed: Airflow did not start, died, or took longer than the limit.
        ConfigError: the source list or a setting is wrong; nothing was touched.
    """
    with _interrupted_by_sigterm():
        was_running = airflow.is_running(home)
        setting_up = None if was_running else airflow.begin_setup(home)
        try:
            sources = ensure_company(home, say)
            api = airflow.start(home, sources, say, setting_up)
            return follow(home, api, _names(sources), say, limit_seconds)
        finally:
            if setting_up is not None:
                setting_up.cancel()
            if not was_running:
                killed = airflow.stop(home)
                say(f"Airflow stopped, {killed} processes killed" if killed else "Airflow stopped")


def follow(
    home: Home,
    api: AirflowApi,
    sources: list[str],
    say: Callable[[str], None],
    limit_seconds: float,
) -> list[str]:
    """Start every ingest that does not start by itself, and report until all is quiet.

    Quiet means: no run is queued or active and no asset event waits for a build.
    """
    end = time.monotonic() + limit_seconds
    wanted = {BUILD, *(f"{INGEST}{name}" for name in sources)}
    dags = _wait_for_dags(home, api, wanted, end)
    began = time.monotonic()
    watch = _Watch(api, home, say, _now())
    _start_ingests(api, [dag for dag in dags if dag["dag_id"] in wanted])
    quiet = 0
    while quiet < 2:
        if time.monotonic() > end:
            raise RunFailed(f"not done after {limit_seconds:.0f} s: {', '.join(watch.active)}")
        if not airflow.is_running(home):
            raise RunFailed(f"Airflow died; see {home.state / 'logs'}")
        # events first: one that becomes a run between the two calls is then seen as a run
        events = api.has_queued_events(BUILD)
        watch.look()
        missing = wanted - {BUILD} - {dag_id for dag_id, _ in watch.ended} - set(watch.active)
        quiet = quiet + 1 if not (missing or events or watch.active) else 0
        if missing and time.monotonic() - began > LATE_SECONDS:
            for dag_id in sorted(missing):
                api.trigger(dag_id)
            began = time.monotonic()
        time.sleep(POLL_SECONDS)
    return watch.failures


@dataclass
class _Watch:
    """What the runs of this session did so far."""

    api: AirflowApi
    home: Home
    say: Callable[[str], None]
    since: str
    active: list[str] = field(default_factory=list)
    ended: set[tuple[str, str]] = field(default_factory=set)
    told: set[tuple[str, str, str, int]] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)

    def look(self) -> None:
        runs = self.api.runs(since=self.since)
        self.active = sorted({run["dag_id"] for run in runs if run["state"] in ACTIVE})
        for run in runs:
            key = _key(run)
            if key in self.ended or run["state"] == "queued":
                continue
            self._tell(run)
            if run["state"] not in ACTIVE:
                self.ended.add(key)

    def _tell(self, run: dict[str, Any]) -> None:
        """One line for every task that ended since the last look."""
        dag_id, run_id = _key(run)
        for task in self.api.tasks_of(dag_id, run_id):
            key = (dag_id, run_id, task["task_id"], task["try_number"])
            if key in self.told or task["state"] not in ENDED:
                continue
            self.told.add(key)
            if task["state"] in ("failed", "up_for_retry"):
                self._tell_failure(dag_id, run_id, task)
            else:
                self._tell_result(dag_id, run_id, task)

    def _tell_failure(self, dag_id: str, run_id: str, task: dict[str, Any]) -> None:
        result = self.api.result(dag_id, run_id, task["task_id"])
        why = f": {result['summary']}" if isinstance(result, dict) else ""
        log = _log(self.home, dag_id, run_id, task)
        is_final = task["state"] == "failed"
        what = "failed" if is_final else "failed and will be tried again"
        line = f"{dag_id}.{task['task_id']} {what}{why}; see {log}"
        self.say(line)
        if is_final:
            self.failures.append(line)

    def _tell_result(self, dag_id: str, run_id: str, task: dict[str, Any]) -> None:
        result = self.api.result(dag_id, run_id, task["task_id"])
        if not isinstance(result, dict):
            # downstream of a task that found nothing new: its own line said so
            return
        seconds = task["duration"] or result.get("seconds") or 0.0
        summary = result.get("summary") or task["state"]
        self.say(f"{dag_id}.{task['task_id']}: {summary} ({seconds:.1f} s)")


def _start_ingests(api: AirflowApi, dags: list[dict[str, Any]]) -> None:
    """Trigger what will not start by itself, then unpause: so nothing runs twice."""
    busy = {run["dag_id"] for run in api.runs(states=ACTIVE)}
    for dag in dags:
        due = dag.get("next_dagrun_run_after")
        starts_itself = dag["dag_id"] in busy or (due is not None and due[:19] <= _now()[:19])
        if dag["dag_id"] != BUILD and not starts_itself:
            api.trigger(dag["dag_id"])
    # the build first: an event for a paused DAG would wait for the next one
    for dag in sorted(dags, key=lambda dag: dag["dag_id"] != BUILD):
        if dag["is_paused"]:
            api.unpause(dag["dag_id"])


def _wait_for_dags(
    home: Home, api: AirflowApi, wanted: set[str], end: float
) -> list[dict[str, Any]]:
    patience = min(end, time.monotonic() + 60.0)
    while True:
        dags = api.dags()
        if wanted <= {dag["dag_id"] for dag in dags}:
            return dags
        if errors := api.import_errors():
            last = str(errors[0]["stack_trace"]).strip().splitlines()[-1]
            raise RunFailed(f"{errors[0]['filename']} does not load: {last}")
        if time.monotonic() > patience:
            missing = sorted(wanted - {dag["dag_id"] for dag in dags})
            raise RunFailed(f"no DAG {missing[0]}; see {home.state / 'logs' / 'dag-processor.log'}")
        time.sleep(POLL_SECONDS)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _names(sources: Any) -> list[str]:
    from carelake.source_list import SourceList

    return [source.name for source in SourceList.load(sources).sources]


def _key(run: dict[str, Any]) -> tuple[str, str]:
    return str(run["dag_id"]), str(run["dag_run_id"])


def _log(home: Home, dag_id: str, run_id: str, task: dict[str, Any]) -> str:
    folder = home.airflow / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}"
    return str(folder / f"task_id={task['task_id']}" / f"attempt={task['try_number']}.log")


@contextlib.contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind like Ctrl-C, so that Airflow is stopped on the way out."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
