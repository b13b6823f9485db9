"""What all benchmarks share: a timed piece of work, a home to do it in, and a row of the result."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from carelake.sample import write_bulk
from carelake.settings import Context, Home, Settings, prepare_environment
from carelake.source_list import SourceList

SIDES = Path(__file__).with_name("sides.py")


@dataclass(frozen=True)
class Result:
    """One figure beside a peer or a limit; seconds, or GB where the name says so."""

    name: str
    ours: float
    peer: float | None
    peer_name: str
    ratio: float | None
    limit: float | None

    @property
    def ok(self) -> bool | None:
        """Whether the limit is kept; None without one."""
        if self.limit is None:
            return None
        found = self.ours if self.ratio is None else self.ratio
        return found <= self.limit

    def row(self) -> dict[str, Any]:
        """As `latest.json` holds it."""
        return {**asdict(self), "ok": self.ok}

    def line(self) -> str:
        """As a terminal shows it."""
        beside = f" beside {self.peer:g}, x{self.ratio:g}" if self.peer is not None else ""
        verdict = {None: "", True: ", ok", False: ", OVER"}[self.ok]
        limit = f" (limit {self.limit:g}{verdict})" if self.limit is not None else ""
        return f"{self.name}: {self.ours:g}{beside}{limit} · {self.peer_name}"


def against(
    name: str, ours: float, peer: float, peer_name: str, limit: float | None = None
) -> Result:
    """A result whose ratio is ours to the peer's."""
    return Result(name, round(ours, 2), round(peer, 2), peer_name, round(ours / peer, 2), limit)


def alone(name: str, ours: float, unit: str, limit: float | None = None) -> Result:
    """A result that is held against a limit, or stands for itself."""
    return Result(name, round(ours, 2), None, unit, None, limit)


def company(scratch: Path, rows: int) -> Path:
    """The bulk sample of so many records, written once."""
    folder = scratch / f"company-{rows}"
    if not folder.exists():
        write_bulk(folder, rows=rows)
    return folder


def open_home(root: Path, folder: Path, memory: str | None = None) -> Context:
    """A context on a home of its own."""
    home = Home(root)
    prepare_environment(home)
    settings = Settings.load(folder / "carelake.yml")
    settings = settings.model_copy(update={"build_memory": memory})
    return Context(
        home, settings, SourceList.load(folder / "sources.yml"), f"bench-{time.time_ns()}"
    )


def timed(work: Callable[[], object]) -> float:
    """Seconds a piece of work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def side(name: str, *arguments: object) -> dict[str, Any]:
    """One side of a comparison in a process of its own: seconds and peak memory in GB."""
    command = [sys.executable, str(SIDES), name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
