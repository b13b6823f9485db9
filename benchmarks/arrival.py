"""From a file's arrival to the published mart, under a real Airflow on a short schedule.

The same hour shows whether anything grows that should not: memory, open files, held locks, open
runs. Files are calls with a mark in their transcript; one has arrived when a reader of the published
marts finds the mark.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import Result, alone
from benchmarks.watching import Sample, Watch, growth
from carelake.errors import RunFailed
from carelake.services.airflow_api import AirflowApi
from carelake.settings import PROJECT, Home

LIMIT_SECONDS = 900.0
ROWS = 20
POLL_SECONDS = 2.0
SPACING_SECONDS = 120.0
"""Between two files on average, or less on a shorter schedule."""
FIRST_SECONDS = 1800.0
PATIENCE_SECONDS = 1200.0
"""After the last file, for what is still on its way."""


@dataclass
class Course:
    """What happened to each file: when it was put there, and when readers had it."""

    dropped: dict[int, float] = field(default_factory=dict)
    published: dict[int, float] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    def seconds(self) -> list[float]:
        """From arrival to publication, of each file that was published."""
        return [self.published[n] - self.dropped[n] for n in sorted(self.published)]


def measure(
    scratch: Path, minutes: float, every: int, say: Callable[[str], None] = print
) -> tuple[list[Result], Course]:
    """Feed a running Airflow for so long, and give the figures.

    Args:
        scratch: a folder with room for a home.
        minutes: how long files arrive.
        every: minutes between two runs of each source.
    """
    home = Home(scratch / "arrival")
    environment = _prepared(home, scratch, every)
    os.environ.update(environment)
    from carelake.services import airflow
    from carelake.services.company import ensure_company

    try:
        sources = ensure_company(home, say)
        api = airflow.start(home, sources, say)
        _wait_for_first_version(home, api, sources, say)
        course = _feed(home, sources.parent, minutes, every, say)
    finally:
        airflow.stop(home)
    return figures(course, minutes, every), course


def _wait_for_first_version(
    home: Home, api: AirflowApi, sources: Path, say: Callable[[str], None]
) -> None:
    """Let the schedules begin; the first build, with its training, is no arrival."""
    names = re.findall(r"- name: (\w+)", sources.read_text(encoding="utf-8"))
    wanted = {"build_marts", *(f"ingest_{name}" for name in names)}
    end = time.monotonic() + FIRST_SECONDS
    while not (home.published / "current" / "marts.duckdb").exists():
        for dag in api.dags():
            if dag["is_paused"] and dag["dag_id"] in wanted:
                api.unpause(dag["dag_id"])
        if time.monotonic() > end:
            raise RunFailed(f"nothing was published within {FIRST_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    say("the first version is published; files begin to arrive")


def figures(course: Course, minutes: float, every: int) -> list[Result]:
    """Arrival times, and what grew, as rows of a table."""
    seconds = sorted(course.seconds())
    lost = len(course.dropped) - len(seconds)
    about = f"s, {len(seconds)} files, a {every}-minute schedule for {minutes:g} minutes"
    p95 = statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]
    return [
        alone("arrival to published mart, median", statistics.median(seconds), about),
        alone("arrival to published mart, p95", p95, about, LIMIT_SECONDS),
        alone("files that were not published", lost, "files", 0),
        *growth(course.samples),
    ]


def _prepared(home: Home, scratch: Path, every: int) -> dict[str, str]:
    """Write the sample company with every source on the short schedule; gives the environment."""
    company = scratch / "company"
    subprocess.run(
        [sys.executable, "-m", "carelake.cli", "sample", str(company)],
        cwd=PROJECT, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    file = company / "sources.yml"
    text = file.read_text(encoding="utf-8")
    file.write_text(
        re.sub(r'schedule: "[^"]*"', f'schedule: "*/{every} * * * *"', text), encoding="utf-8"
    )
    return {"CARELAKE_HOME": str(home.root), "CARELAKE_SOURCES": str(file)}


def _feed(
    home: Home, company: Path, minutes: float, every: int, say: Callable[[str], None]
) -> Course:
    """Drop files at uneven moments, and watch until all are published."""
    course, watch = Course(), Watch(home)
    end = time.time() + minutes * 60
    due = time.time()
    while True:
        now = time.time()
        if now >= due and now < end:
            number = len(course.dropped) + 1
            _drop(company, number)
            course.dropped[number] = time.time()
            # uneven, so that files come at every moment of the schedule
            due += min(every * 60, SPACING_SECONDS) * (0.6 if number % 2 else 1.3)
        if sample := watch.look():
            course.samples.append(sample)
        for number in _published(home, course):
            course.published[number] = time.time()
            say(f"file {number}: {course.published[number] - course.dropped[number]:.0f} s")
        is_complete = len(course.published) == len(course.dropped)
        if now >= end and (is_complete or now >= end + PATIENCE_SECONDS):
            return course
        time.sleep(POLL_SECONDS)


def _drop(company: Path, number: int) -> None:
    """One file of calls, put there whole."""
    folder = company / "inbox" / "phone"
    header = sorted(folder.glob("calls-*.csv"))[0].read_text(encoding="utf-8").splitlines()[0]
    columns = header.lstrip("\ufeff").split(",")
    lines = [_call(columns, number, i) for i in range(ROWS)]
    draft = folder / f".calls-9{number:05d}.part"
    draft.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    draft.rename(folder / f"calls-9{number:05d}.csv")


def _call(columns: list[str], number: int, i: int) -> str:
    """One line of a file."""
    values = {
        "call_id": f"S{number:05d}-{i:03d}",
        "case_no": f"S{number:05d}-{i:03d}",
        "direction": "呼入",
        "caller": f"1380000{i:04d}",
        "started": f"2024-04-29 10:{i % 60:02d}:{number % 60:02d}",
        "talk_seconds": "60",
        "transcript": f"arrival mark {number}x",
    }
    return ",".join(values.get(column, "") for column in columns)


def _published(home: Home, course: Course) -> list[int]:
    """Files whose rows a reader of the marts finds now and did not before."""
    import duckdb

    waiting = [number for number in course.dropped if number not in course.published]
    if not waiting:
        return []
    with duckdb.connect(home.published / "current" / "marts.duckdb", read_only=True) as con:
        rows: list[tuple[Any, ...]] = con.execute(
            "select distinct regexp_extract(text_masked, 'arrival mark ([0-9]+)x', 1)"
            " from marts.marts.fct_communications where text_masked like 'arrival mark %'"
        ).fetchall()
    there = {int(row[0]) for row in rows if row[0]}
    return [number for number in waiting if number in there]
