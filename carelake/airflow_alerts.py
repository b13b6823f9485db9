"""What Airflow calls when a task failed for good, a run is late, or a step has news for people.

The DAGs name these functions; what they know comes in Airflow's context.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from carelake import last_good
from carelake.alerts import Alert, send, worth_telling
from carelake.errors import CarelakeError
from carelake.setting_groups.alerts import Alerts
from carelake.settings import Home

PLAIN = ("AirflowFailException", "AirflowException")
"""Errors of Airflow's that carry a sentence of ours."""


def settings() -> Alerts:
    """Whom to tell, as `carelake.yml` says, or said when it last was right.

    Raises:
        ConfigError: it is wrong, and never was right.
    """
    sources = Path(os.environ.get("CARELAKE_SOURCES") or "sources.yml")
    return last_good.settings(Home.from_environment(), sources.parent / "carelake.yml")[0].alerts


def task_failed(context: dict[str, Any]) -> None:
    """Tell that a task failed and is not tried again."""
    ti = context["ti"]
    _tell(
        f"{ti.dag_id}.{ti.task_id} failed", reason(context.get("exception")), ti, context.get("dag")
    )


def step_told(context: dict[str, Any], result: dict[str, Any]) -> None:
    """Tell what a step that went well found: a batch that is held, a source gone quiet."""
    for line in worth_telling(result):
        _tell(context["ti"].dag_id, line, context["ti"], context.get("dag"))


def deadline_missed(context: dict[str, Any], owner: str = "", triage: str = "") -> None:
    """Tell that a run did not end in time; called by the scheduler's executor.

    Args:
        context: the run, as Airflow's REST API shows it, and the deadline.
        owner: of the DAG.
        triage: its note.
    """
    run = context["dag_run"]
    due = str((context.get("deadline") or {}).get("deadline_time") or "")[:16]
    alert = Alert(
        what=f"{run['dag_id']} is late",
        reason=f"it was due by {due} UTC and is still {run.get('state')}",
        owner=owner,
        run=str(run["dag_run_id"]),
        link=run_link(run["dag_id"], run["dag_run_id"]),
        triage=triage,
    )
    _send(alert)


def reason(error: Any) -> str:
    """An error in one line, as a person would say it."""
    if error is None:
        return "its process was lost; its log says how far it came"
    text = next(iter(str(error).splitlines()), "")
    name = type(error).__name__
    if isinstance(error, (str, CarelakeError)) or name in PLAIN:
        return text
    if name == "AirflowTaskTimeout":
        return "it took longer than it may"
    return f"{name}: {text}" if text else name


def run_link(dag_id: str, run_id: str, task_id: str = "", base: str | None = None) -> str:
    """Where a person sees the run, or the task, in Airflow."""
    base = base or os.environ.get("AIRFLOW__API__BASE_URL") or "http://localhost:8080"
    where = f"{base.rstrip('/')}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
    return f"{where}/tasks/{quote(task_id, safe='')}" if task_id else where


def _tell(what: str, why: str, ti: Any, dag: Any) -> None:
    task = getattr(ti, "task", None)
    _send(
        Alert(
            what=what,
            reason=why,
            owner=str(getattr(task, "owner", "") or ""),
            run=str(ti.run_id),
            link=run_link(ti.dag_id, ti.run_id, ti.task_id),
            triage=str(getattr(dag, "doc_md", "") or ""),
        )
    )


def _send(alert: Alert) -> None:
    """Send and never fail: what is told about must not be hidden by the telling."""
    try:
        whom = settings()
        if whom.airflow_url and alert.link:
            # everything up to /dags is an address of this machine
            path = alert.link[alert.link.index("/dags/") :]
            alert = Alert(**{**alert.__dict__, "link": whom.airflow_url.rstrip("/") + path})
        send(alert, whom)
    except Exception as error:
        print(f"alert was not sent: {type(error).__name__}: {error}")
