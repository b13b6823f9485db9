"""What Airflow adds to the steps it runs: the whole flow once, task by task along its critical path.

A task's time falls into waiting (since the task it followed had ended: queue, pool, scheduler),
start-up (a process with what it imports), the step itself, and reporting (what was done, to the
warehouse and to Airflow). Waiting and reporting are Airflow's; start-up is told apart.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import Result, alone
from carelake.settings import PROJECT

LIMIT_SECONDS = 2.0
QUERY = """
    select t.dag_id, t.task_id, t.start_date, t.end_date, x.value
    from task_instance t
    left join xcom x on x.dag_id = t.dag_id and x.run_id = t.run_id and x.task_id = t.task_id
        and x.key = 'return_value'
    where t.start_date is not null and t.end_date is not null and t.duration > 0
"""


@dataclass(frozen=True)
class Task:
    """One task instance; times in seconds since 1970."""

    name: str
    start: float
    end: float
    step: float
    startup: float

    @property
    def reporting(self) -> float:
        """What is left of its time beside start-up and step."""
        return max(0.0, self.end - self.start - self.startup - self.step)


@dataclass(frozen=True)
class Stretch:
    """A task of the critical path, and how long it waited for its turn."""

    task: Task
    waiting: float

    @property
    def overhead(self) -> float:
        """Seconds that are neither the step's nor its start-up's."""
        return self.waiting + self.task.reporting


def measure(scratch: Path) -> list[Result]:
    """Let Airflow run the sample company once in a new home, and take its path apart."""
    home = scratch / "airflow-run"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "CARELAKE"))}
    subprocess.run(
        [sys.executable, "-m", "carelake.services", "run"],
        env={**kept, "CARELAKE_HOME": str(home), "PYTHONPATH": str(PROJECT)},
        cwd=scratch,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return results(path_to_publication(tasks(home / "airflow" / "airflow.db")))


def results(path: list[Stretch]) -> list[Result]:
    """The figures of a critical path, and its table on the terminal."""
    for part in path:
        task = part.task
        print(
            f"{task.name:36} waited {part.waiting:5.2f}  start-up {task.startup:5.2f}  "
            f"step {task.step:6.2f}  reporting {task.reporting:5.2f}"
        )
    makespan = path[-1].task.end - (path[0].task.start - path[0].waiting)
    steps = sum(part.task.step for part in path)
    startup = statistics.fmean(part.task.startup for part in path)
    overhead = statistics.fmean(part.overhead for part in path)
    waiting = statistics.fmean(part.waiting for part in path)
    unit = f"s, of {len(path)} tasks on the critical path"
    return [
        alone("Airflow's makespan of `make run`", makespan, "s"),
        alone("... of which the steps of its critical path", steps, unit),
        alone("per task beyond step and start-up", overhead, unit, LIMIT_SECONDS),
        alone("... of which waiting for a turn", waiting, unit),
        alone("start-up and imports per task", startup, unit),
    ]


def tasks(database: Path) -> list[Task]:
    """Every task instance that ran, from Airflow's metadata."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as con:
        return [
            _task(f"{dag}.{task}", start, end, value)
            for dag, task, start, end, value in con.execute(QUERY)
        ]


def path_to_publication(found: list[Task]) -> list[Stretch]:
    """The chain of tasks that ended in the first publication, each after the last to end before it.

    `settle` only waits for others, so what it waited for stands in its place.
    """
    working = [task for task in found if not task.name.endswith(".settle")]
    task = min((t for t in working if t.name == "build_marts.publish"), key=lambda task: task.end)
    path: list[Stretch] = []
    while True:
        earlier = [other for other in working if _may_precede(other, task)]
        if not earlier:
            path.append(Stretch(task, 0.0))
            return path[::-1]
        before = max(earlier, key=lambda other: other.end)
        path.append(Stretch(task, task.start - before.end))
        task = before


def _may_precede(other: Task, task: Task) -> bool:
    """Whether a task may have waited for another; in a build none waits for an extract."""
    in_build = task.name.startswith("build_marts.") and task.name != "build_marts.has_news"
    return other.end <= task.start and not (in_build and other.name.endswith(".extract"))


def _task(name: str, start: str, end: str, value: Any) -> Task:
    """A task instance, with what its step told: its seconds, and when it began."""
    content = json.loads(value) if isinstance(value, str) else value
    told = content if isinstance(content, dict) else {}
    # the metadata database leaves the zone out, which is UTC
    started, ended = (
        datetime.fromisoformat(f"{moment}+00:00").timestamp() for moment in (start, end)
    )
    began = told.get("began_at")
    startup = datetime.fromisoformat(began).timestamp() - started if began else 0.0
    return Task(name, started, ended, float(told.get("seconds") or 0.0), max(0.0, startup))
