"""Who holds the warehouse, and what those who were killed left behind."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from carelake.doctor.findings import Finding, Patient, fail, listed, ok, warn
from carelake.warehouse.connection import LockState, lock_state
from carelake.warehouse.freshness import in_words

LONG_SECONDS = 2 * 3600
"""A writer that takes longer is looked at: steps of Airflow may run for one hour."""


def lock(patient: Patient) -> Iterator[Finding]:
    """Who has the writer's lock, since when, and whether it is one of ours."""
    state = lock_state(patient.home)
    if not state.is_held:
        if state.purpose:
            yield warn(
                "lock",
                f"nobody holds it; the last writer was killed while at `{state.purpose}`",
                "carelake run goes on where it was",
            )
        else:
            yield ok("lock", "free")
        return
    who, seconds = _who(state)
    if not state.purpose:
        yield fail("lock", f"held by {who}, which is none of ours", f"stop process {state.pid}")
    elif seconds is not None and seconds > LONG_SECONDS:
        yield warn(
            "lock",
            f"`{state.purpose}` holds it: {who}",
            "see what it does; every step may be stopped and run again",
        )
    else:
        yield ok("lock", f"`{state.purpose}` holds it: {who}")


def _who(state: LockState) -> tuple[str, int | None]:
    """A process in words, and its age in seconds if it can be seen."""
    if state.pid is None:
        return "a process that cannot be seen from here", None
    try:
        process = psutil.Process(state.pid)
        seconds = int(time.time() - process.create_time())
        command = " ".join(process.cmdline())[:120] or process.name()
        return f"process {state.pid} (`{command}`, {in_words(seconds)} old)", seconds
    except psutil.Error:
        return f"process {state.pid} on {state.host}", None


def strangers(patient: Patient) -> Iterator[Finding]:
    """Programs that have the warehouse open without the lock, or a published file for writing."""
    here = patient.home
    writer = lock_state(here).pid
    found = False
    for process, path, mode in _open_files(here.root):
        if process.pid in (os.getpid(), writer):
            continue
        who = f"process {process.pid} ({process.name()})"
        if path == here.warehouse.resolve():
            found = True
            yield fail(
                "strangers",
                f"{who} has {here.warehouse} open without the lock: no run can open it",
                f"close it there, or stop process {process.pid}; read published/marts.duckdb instead",
            )
        elif path.is_relative_to(here.published.resolve()) and mode not in ("r", ""):
            found = True
            yield warn(
                "strangers",
                f"{who} has {path} open for writing",
                "open it read-only there (access_mode=read_only)",
            )
    if not found:
        yield ok("strangers", "nobody else has the warehouse open")


def _open_files(root: Path) -> Iterator[tuple[psutil.Process, Path, str]]:
    """Files below a folder that some process has open; those of others' processes are not seen."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            for file in process.open_files():
                path = Path(file.path)
                if path.is_relative_to(root.resolve()):
                    yield process, path, str(getattr(file, "mode", ""))


def leftovers(patient: Patient) -> Iterator[Finding]:
    """Drafts of publications, exports and loads that were killed; the next run clears them away."""
    here = patient.home
    if lock_state(here).is_held:
        return  # they may be in use
    patterns = ("published/versions/*.part", "ml/features/*.part", "published/*.part")
    found = [path for pattern in patterns for path in sorted(here.root.glob(pattern))]
    if found:
        size = sum(f.stat().st_size for path in found for f in path.rglob("*") if f.is_file())
        names = listed([str(path.relative_to(here.root)) for path in found])
        yield warn(
            "leftovers",
            f"{names} ({size / 1e6:.1f} MB) of a run that was killed",
            "carelake run clears them away with what it publishes",
        )
