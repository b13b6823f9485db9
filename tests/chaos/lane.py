"""A made-up company, the home its runs work on, and copies of that home from before every step.

Two scenes: the `first` run of a new home, which also trains the models; and a `second` run, which
finds new files, a champion and published marts that readers are using.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.inspection import inspect_home
from tests.chaos.runs import STEPS, Orders, Run, ask, copy_tree, empty

FIRST, SECOND = "first", "second"
SCENES = (FIRST, SECOND)
CUSTOMERS, DAYS, SEED = 110, 60, 1
"""So small a company, and both models that are waited for are promoted: kills then meet a champion."""
LATER = (
    "crm/contacts-20240301-page-1.json", "chat/messages-2024-02.jsonl.gz",
    "phone/calls-2024-02.csv",
)  # fmt: skip
"""What the second run finds new in the company's folder."""
ROOM = "size=1g"


@dataclass
class Scene:
    """What an undisturbed run of a scene did."""

    steps: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)


class Lane:
    """One home, used for one disturbance after the other."""

    def __init__(self, root: Path) -> None:
        """Write the company and make the undisturbed runs.

        Raises:
            RuntimeError: an undisturbed run failed.
        """
        self.root, self.home = root, root / "home"
        self.company, self._kept = root / "company", root / "kept"
        self.scratch = root / "scratch"
        self.scratch.mkdir(parents=True)
        self._set_environment()
        self._write_company()
        self.scenes = {FIRST: self._undisturbed(FIRST), SECOND: self._undisturbed(SECOND)}

    def restore(self, scene: str, step: str) -> None:
        """Make home and company as they are when a step of an undisturbed run begins."""
        self._deliver(scene)
        kept = self.kept(scene, step)
        if kept.exists():
            copy_tree(kept, self.home)
        else:
            empty(self.home)

    def kept(self, scene: str, step: str) -> Path:
        """The copy of the home from before a step."""
        return self._kept / scene / step

    def run(self, orders: Orders | None = None) -> Run:
        """Start a run on the home."""
        number = sum(1 for _ in self.scratch.glob("run-*.log"))
        return Run(self.home, self.scratch / f"run-{number}.log", orders)

    def forget_logs(self) -> None:
        """Begin the next disturbance without the last one's output."""
        for path in self.scratch.glob("run-*.log"):
            path.unlink()

    def ask(self, question: Callable[[], Any]) -> Any:
        """The answer of a function that may open databases."""
        return ask(question, self.scratch)

    def inspect(self) -> dict[str, Any]:
        """What the home holds now: marts, accounts, models, litter."""
        found: dict[str, Any] = self.ask(lambda: inspect_home(self.home))
        return found

    @contextmanager
    def small_disk(self, scene: str, step: str) -> Iterator[SmallDisk]:
        """Have the home on a disk of its own, as it is when a step begins."""
        empty(self.home)
        with SmallDisk(self.home) as disk:
            self.restore(scene, step)
            yield disk

    def steps(self, scene: str) -> list[str]:
        """The steps that an undisturbed run of a scene went through."""
        return [step for step in STEPS if step in self.scenes[scene].steps]

    def _set_environment(self) -> None:
        for key in [k for k in os.environ if k.startswith(("CARELAKE", "AIRFLOW"))]:
            del os.environ[key]
        os.environ["CARELAKE_SOURCES"] = str(self.company / "sources.yml")
        os.environ["CARELAKE_PEPPER"] = "chaos"
        os.environ["CARELAKE_HOME"] = str(self.home)

    def _write_company(self) -> None:
        def write() -> None:
            from carelake.sample import write_sample

            write_sample(self.company, CUSTOMERS, DAYS, SEED)

        self.ask(write)

    def _deliver(self, scene: str) -> None:
        """Put the later files where the source list looks for them, or away."""
        for name in LATER:
            there, away = self.company / "inbox" / name, self.company / "later" / name
            source, target = (there, away) if scene == FIRST else (away, there)
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                source.rename(target)

    def _undisturbed(self, scene: str) -> Scene:
        """Run once, keeping the home before each step; the second scene goes on after the first."""
        self._deliver(scene)
        self.home.mkdir(exist_ok=True)
        run = self.run(Orders(keep=self._kept / scene, count=True))
        if run.wait():
            raise RuntimeError(f"the undisturbed run failed:\n{run.output[-2000:]}")
        begun = sorted(run.steps.items(), key=lambda item: item[1])
        ends = [at for _, at in begun[1:]] + [begun[-1][1] + 2.0]
        seconds = {name: end - at for (name, at), end in zip(begun, ends, strict=True)}
        sizes = {step: size_of(self.kept(scene, step)) for step in run.steps}
        sizes["end"] = size_of(self.home)
        return Scene(run.steps, seconds, run.operations, sizes, self.inspect())


def size_of(folder: Path) -> int:
    """Bytes on disk of all files below."""
    files = (p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    return sum(4096 * (1 + path.stat().st_size // 4096) for path in files)


class SmallDisk:
    """A memory file system mounted over a folder, of a size that can be changed."""

    def __init__(self, folder: Path) -> None:
        """Mount nothing yet."""
        self._folder = folder

    def __enter__(self) -> SmallDisk:
        _call("mount", "-t", "tmpfs", "-o", ROOM, "carelake-chaos", str(self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        # an unmount waits for nobody: what still holds a file there keeps only that
        _call("umount", "--lazy", str(self._folder))

    def leave(self, room: int) -> None:
        """Make it so small that only `room` more bytes fit."""
        for tries_left in reversed(range(20)):
            size = max(65_536, self.used() + room)  # none means no limit
            try:
                _call("mount", "-o", f"remount,size={size}", str(self._folder))
                return
            except subprocess.CalledProcessError:
                # somebody wrote since it was measured, and a disk cannot be smaller than what is on it
                if not tries_left:
                    raise

    def make_room(self) -> None:
        """Make it large again."""
        _call("mount", "-o", f"remount,{ROOM}", str(self._folder))

    def fill(self) -> None:
        """Leave no room at all."""
        self.leave(0)

    def used(self) -> int:
        """Bytes in use."""
        found = os.statvfs(self._folder)
        return (found.f_blocks - found.f_bfree) * found.f_frsize


def can_mount() -> bool:
    """Whether this process may mount; asked by mounting."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        try:
            with SmallDisk(Path(folder)):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
