"""The measurements of a running Airflow see what they are to see."""

from __future__ import annotations

import fcntl
import sys
import time
from pathlib import Path

from benchmarks import airflow_runs, watching
from benchmarks.airflow_runs import Task
from benchmarks.watching import Sample
from carelake.services import processes
from carelake.settings import Home


def _samples(leak: float) -> list[Sample]:
    """An hour; every fourth sample a task takes 300 MB besides."""
    return [
        Sample(60.0 * i, 900 + leak * i + 300 * (i % 4 == 0), 200, 12, i % 2, i % 3, i % 3, 500 + i)
        for i in range(60)
    ]


def test_a_leak_is_told_and_tasks_that_come_and_go_are_none() -> None:
    quiet = {result.name: result.ok for result in watching.growth(_samples(0))}
    assert False not in quiet.values()
    leaking = {result.name: result.ok for result in watching.growth(_samples(6))}
    assert leaking["memory, quiet level in the last third"] is False


def test_a_few_minutes_are_told_and_held_against_nothing() -> None:
    short = watching.growth(_samples(6)[:20])
    assert short and {result.ok for result in short} == {None}


def test_what_a_server_started_is_counted_with_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    processes.start(home, processes.Service("family", [sys.executable, "-c", child]))
    try:
        end = time.monotonic() + 20
        while len(watching._processes(home)) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        sample = watching._processes(home)
        assert len(sample) == 2 and sum(watching._pss(one) for one in sample) > 1e6
    finally:
        processes.stop(home, ["family"], patience=0.2, force_after=1)


def test_a_held_lock_of_the_home_is_counted_until_it_is_released(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.lock.open("w") as handle:
        assert watching._held_locks(home) == 0
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert watching._held_locks(home) == 1
    assert watching._held_locks(home) == 0


def test_the_critical_path_goes_back_over_what_each_task_waited_for() -> None:
    tasks = [
        Task("ingest_a.extract", 0, 2, 1, 0.5),
        Task("ingest_b.extract", 0, 1, 0.5, 0.4),
        Task("ingest_b.load", 1.2, 2.9, 1, 0.3),
        Task("ingest_a.load", 3, 5, 1.2, 0.3),
        Task("build_marts.settle", 2, 5.5, 3, 0.3),
        Task("build_marts.publish", 6, 9, 2, 0.6),
        Task("build_marts.publish", 20, 21, 1, 0),
    ]
    path = airflow_runs.path_to_publication(tasks)
    assert [part.task.name for part in path] == [
        "ingest_b.extract", "ingest_b.load", "ingest_a.load", "build_marts.publish",
    ]  # fmt: skip
    assert [round(part.waiting, 1) for part in path] == [0, 0.2, 0.1, 1]
    assert round(path[-1].task.reporting, 1) == 0.4
