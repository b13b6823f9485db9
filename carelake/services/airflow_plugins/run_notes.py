"""An Airflow plugin: when a run ends, its note says what every task did, in rows and seconds.

The note is on the run's page and each task's own on the task's page, so nobody opens a log to see
them. The listener runs in the scheduler, inside the transaction that ends the run.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

NOTE_CHARACTERS = 1000
"""As much as Airflow keeps."""

CELL_CHARACTERS = 48
"""What a row of the table takes beside its last cell."""


class RunNotes:
    """Writes the notes of a run that has just ended."""

    @hookimpl
    def on_dag_run_success(self, dag_run: DagRun, msg: str) -> None:
        """Note what was done."""
        write_notes(dag_run)

    @hookimpl
    def on_dag_run_failed(self, dag_run: DagRun, msg: str) -> None:
        """Note what was done until it failed."""
        write_notes(dag_run)


def write_notes(dag_run: DagRun) -> None:
    """Put a table of tasks on the run, and each task's line on the task."""
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        return
    results = _results(dag_run, session)
    with session.no_autoflush:
        tasks = sorted(
            dag_run.get_task_instances(session=session),
            key=lambda ti: (ti.start_date is None, ti.start_date, ti.task_id),
        )
        for ti in tasks:
            if summary := results.get(ti.task_id, {}).get("summary"):
                ti.note = str(summary)[:NOTE_CHARACTERS]
        dag_run.note = text(tasks, results)


def text(tasks: list[TaskInstance], results: dict[str, dict[str, Any]]) -> str:
    """A headline, which the run's page shows at once, and below it a Markdown table of tasks."""
    # below a task that found nothing new there is nothing to say
    told = [ti for ti in tasks if ti.task_id in results or str(ti.state) != "skipped"]
    lines = [_headline(told, results), ""]
    lines += ["| task | state | rows | seconds | what |", "|---|---|--:|--:|---|"]
    used = sum(map(len, lines)) + len(lines)
    width = max(10, (NOTE_CHARACTERS - used) // max(1, len(told)) - CELL_CHARACTERS)
    for ti in told:
        result = results.get(ti.task_id, {})
        rows = result.get("rows")
        seconds = result.get("seconds", ti.duration)
        cells = (
            ti.task_id,
            str(ti.state or ""),
            "" if rows is None else f"{rows:,}",
            "" if seconds is None else f"{float(seconds):.1f}",
            shortened(str(result.get("summary") or ""), width),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)[:NOTE_CHARACTERS]


def _headline(tasks: list[TaskInstance], results: dict[str, dict[str, Any]]) -> str:
    failed = [ti.task_id for ti in tasks if str(ti.state) == "failed"]
    if failed:
        reason = str(results.get(failed[0], {}).get("summary") or "see its log")
        return f"{', '.join(failed)} failed: {shortened(reason, 200)}"
    seconds = sum(ti.duration or 0.0 for ti in tasks)
    last = next((ti.task_id for ti in reversed(tasks) if ti.task_id in results), None)
    if last is None:
        return f"{seconds:.0f} s in {len(tasks)} tasks"
    summary = shortened(str(results[last].get("summary") or last), 160)
    rows = results[last].get("rows")
    counted = f"{rows:,} rows, " if rows else ""
    return f"{summary} ({counted}{seconds:.0f} s in {len(tasks)} tasks)"


def shortened(text: str, width: int) -> str:
    """One line of a table cell, at most so many characters."""
    line = " ".join(text.replace("|", "/").split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _results(dag_run: DagRun, session: Session) -> dict[str, dict[str, Any]]:
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    rows = session.execute(
        select(XComModel.task_id, XComModel.value).where(
            XComModel.dag_id == dag_run.dag_id,
            XComModel.run_id == dag_run.run_id,
            XComModel.key == "return_value",
        )
    )
    found: dict[str, dict[str, Any]] = {}
    for task_id, value in rows:
        content = json.loads(value) if isinstance(value, str) else value
        if isinstance(content, dict):
            found[str(task_id)] = content
    return found


class RunNotesPlugin(AirflowPlugin):
    """Registers the listener."""

    name = "carelake_run_notes"
    listeners = [RunNotes()]  # noqa: RUF012
