"""`kill -9` at named steps and at random moments; then one more run must give the same marts."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.commands import carelake

STEPS = (
    "extract", "load", "has_news", "check_batches", "build_features", "score", "build_marts",
    "plan_follow_ups", "check_marts", "publish",
)  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """Where a run is killed: `delay` seconds after a step began."""

    step: str
    delay: float


@dataclass(frozen=True)
class Outcome:
    """What came of one kill."""

    kill: Kill
    hit: bool
    same: bool
    note: str
    seconds: float


def kills(seed: int, count: int) -> Iterator[Kill]:
    """Every step once at its very beginning, then random steps at random moments."""
    chosen = random.Random(seed)
    for number in range(count):
        if number < len(STEPS):
            yield Kill(STEPS[number], 0.0)
        else:
            yield Kill(chosen.choice(STEPS), round(chosen.expovariate(0.7), 2))


class Company:
    """A small company, its environment, and the marts an undisturbed run gives."""

    def __init__(self, root: Path, customers: int = 40, days: int = 60) -> None:
        self.root = root
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))}
        self.environment = {
            **kept,
            "CARELAKE_SOURCES": str(root / "company" / "sources.yml"),
            "CARELAKE_PEPPER": "chaos",
            "PYTHONUNBUFFERED": "1",
        }
        size = ["--customers", str(customers), "--days", str(days)]
        carelake("sample", str(root / "company"), *size, env=self.environment)
        self.expected = self.fingerprint(self.run(root / "undisturbed"))

    def run(self, home: Path) -> Path:
        """One run to its end."""
        carelake("run", env={**self.environment, "CARELAKE_HOME": str(home)}, timeout=600)
        return home

    def fingerprint(self, home: Path) -> dict[str, object]:
        """Of the published marts of a home."""
        env = {**self.environment, "CARELAKE_HOME": str(home)}
        found: dict[str, object] = json.loads(carelake("fingerprint", env=env).stdout)
        return found

    def survive(self, kill: Kill) -> Outcome:
        """Kill a first run, run once more, compare, and look for what a kill may leave behind."""
        began = time.monotonic()
        home = self.root / "killed"
        shutil.rmtree(home, ignore_errors=True)
        hit = self._killed(home, kill)
        try:
            self.run(home)
            found = self.fingerprint(home)
        except AssertionError as error:
            return Outcome(kill, hit, False, str(error)[-300:], time.monotonic() - began)
        different = sorted(name for name in self.expected if found.get(name) != self.expected[name])
        litter = sorted(str(p.relative_to(home)) for p in (home / "published").rglob("*.part"))
        note = ", ".join([*different, *litter])
        return Outcome(kill, hit, not note, note, time.monotonic() - began)

    def _killed(self, home: Path, kill: Kill) -> bool:
        """Start a run and kill its process group; gives whether it was still alive then."""
        process = subprocess.Popen(
            [sys.executable, "-m", "carelake.cli", "run"],
            env={**self.environment, "CARELAKE_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stderr is not None
        before = STEPS.index(kill.step)
        try:
            if before:
                # a step begins when the line of the one before it is printed
                for line in process.stderr:
                    if line.startswith(f"✓ {STEPS[before - 1]} "):
                        break
            time.sleep(kill.delay)
            alive = process.poll() is None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                alive = False
            process.communicate()
        return alive
