"""What a home's processes take, sampled while they run, and whether it grows."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped, unused-ignore]

from benchmarks.measure import Result, alone
from carelake.services import processes
from carelake.settings import Home

EVERY_SECONDS = 15.0
GROWTH_LIMIT = 1.1
"""Of the quiet level: the last third of a soak beside the one before it."""
LONG_SECONDS = 600.0
OPEN = "('queued', 'running', 'scheduled', 'restarting', 'up_for_reschedule', 'up_for_retry')"


@dataclass(frozen=True)
class Sample:
    """One look; memory and disk in MB."""

    at: float
    memory: float
    files: int
    processes: int
    locks: int
    runs: int
    tasks: int
    disk: float


class Watch:
    """Looks at a home at a fixed rate."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._due = 0.0

    def look(self) -> Sample | None:
        """A sample, None while the last one is young."""
        now = time.time()
        if now < self._due:
            return None
        self._due = now + EVERY_SECONDS
        ours = _processes(self._home)
        runs, tasks = _open_work(self._home.airflow / "airflow.db")
        return Sample(
            at=now,
            memory=round(sum(_quiet(process, _pss) for process in ours) / 1e6, 1),
            files=int(sum(_quiet(process, lambda p: p.num_fds()) for process in ours)),
            processes=len(ours),
            locks=_held_locks(self._home),
            runs=runs,
            tasks=tasks,
            disk=round(_disk(self._home.root) / 1e6, 1),
        )


def growth(samples: list[Sample]) -> list[Result]:
    """The quiet level of each series in the last third beside the middle one; the first is warm-up.

    The quiet level is the lower quartile: tasks come and go, what stays is what leaks.
    """
    if len(samples) < 12:
        return []
    third = len(samples) // 3
    # in less than this a third may fall between two builds: told, and held against nothing
    is_long = samples[-third].at - samples[third].at >= LONG_SECONDS
    middle, last = samples[third : 2 * third], samples[2 * third :]
    rows = []
    for name, unit in (("memory", "MB"), ("files", "open files"), ("processes", "processes")):
        before, after = _level(middle, name), _level(last, name)
        ratio = round(after / max(before, 1.0), 3)
        rows.append(
            Result(
                f"{name}, quiet level in the last third",
                after, before, f"{unit} in the middle third", ratio,
                GROWTH_LIMIT if is_long else None,
            )
        )  # fmt: skip
    for name in ("locks", "runs", "tasks"):
        before, after = _level(middle, name), _level(last, name)
        rows.append(
            alone(f"{name} open, quiet level, growth", after - before, name, 1 if is_long else None)
        )
    hours = (samples[-1].at - samples[third].at) / 3600
    rate = (samples[-1].disk - samples[third].disk) / hours
    rows.append(alone("disk", rate, "MB an hour"))
    return rows


def table(samples: list[Sample]) -> list[dict[str, Any]]:
    """Samples as rows of JSON, with minutes since the first."""
    first = samples[0].at if samples else 0.0
    return [{"minute": round((s.at - first) / 60, 2), **asdict(s)} for s in samples]


def plot(samples: list[Sample], seconds: list[float], path: Path) -> None:
    """Memory, open files, open work and arrivals over the minutes of a soak."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    minutes = [(s.at - samples[0].at) / 60 for s in samples]
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 6), constrained_layout=True)
    axes[0, 0].plot(minutes, [s.memory for s in samples])
    axes[0, 0].set(title="Memory of all processes (PSS, MB)", ylim=(0, None))
    axes[0, 1].plot(minutes, [s.files for s in samples])
    axes[0, 1].set(title="Open files", ylim=(0, None))
    axes[1, 0].step(minutes, [s.runs for s in samples], label="runs")
    axes[1, 0].step(minutes, [s.tasks for s in samples], label="tasks")
    axes[1, 0].step(minutes, [s.locks for s in samples], label="locks held")
    axes[1, 0].set(title="Open work", xlabel="minutes", ylim=(0, None))
    axes[1, 0].legend()
    axes[1, 1].bar(range(1, len(seconds) + 1), seconds)
    axes[1, 1].set(title="Arrival to published mart (s)", xlabel="file")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _level(samples: list[Sample], name: str) -> float:
    return float(statistics.quantiles([getattr(s, name) for s in samples], n=4)[0])


def _processes(home: Home) -> list[psutil.Process]:
    """The servers of the home and all that they started.

    By descent: Airflow's processes write a title over the environment that would tell them.
    """
    found: dict[int, psutil.Process] = {}
    for running in processes.known(home):
        with contextlib.suppress(psutil.Error):
            server = psutil.Process(running.pid)
            for process in (server, *server.children(recursive=True)):
                found[process.pid] = process
    return list(found.values())


def _quiet(process: psutil.Process, ask: Callable[[Any], float]) -> float:
    """An answer, 0 of a process that has ended meanwhile."""
    with contextlib.suppress(psutil.Error, OSError):
        return float(ask(process))
    return 0.0


def _pss(process: psutil.Process) -> float:
    return float(process.memory_full_info().pss)


def _held_locks(home: Home) -> int:
    """How many locks on files of the home are held, as the kernel lists them."""
    files = [home.lock, *home.landing.glob("*/.lock")]
    inodes = {path.stat().st_ino for path in files if path.exists()}
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    held = [line.split() for line in lines if "->" not in line]
    return sum(int(words[5].rpartition(":")[2]) in inodes for words in held if "FLOCK" in words)


def _open_work(database: Path) -> tuple[int, int]:
    """Runs and task instances that are not ended."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as con:
        counted = [
            con.execute(f"select count(*) from {name} where state in {OPEN}").fetchone()[0]
            for name in ("dag_run", "task_instance")
        ]
    return counted[0], counted[1]


def _disk(folder: Path) -> float:
    """Bytes on disk; files that share their blocks count once."""
    seen: dict[int, int] = {}
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                stat = os.lstat(Path(path) / name)
                seen[stat.st_ino] = stat.st_blocks * 512
    return float(sum(seen.values()))
