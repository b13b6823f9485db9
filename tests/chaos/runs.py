"""Runs as forks of one process that has imported everything: `carelake run` without its 15 s of imports.

A fork inherits no thread, so the process that forks must never start one: whatever opens a
database, here the runs and the looks at a home, does so in a fork of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STEPS = (
    "init", "extract", "load", "has_news", "check_batches", "build_features", "score", "train",
    "build_marts", "plan_follow_ups", "check_marts", "publish", "replicate", "check_freshness",
)  # fmt: skip
"""In the order in which they begin; training is a part of scoring when there is no champion."""
HEAVY = (
    "carelake.cli", "carelake.pipeline", "carelake.warehouse.build", "carelake.warehouse.load",
    "carelake.warehouse.publish", "carelake.warehouse.setup", "carelake.warehouse.quarantine",
    "carelake.reports.summary", "carelake.followup.planner", "expectations.gate", "ml.training",
    "ml.scoring", "dbt.cli.main", "dbt.adapters.duckdb.connections", "mlflow.sklearn",
    "mlflow.store.tracking.sqlalchemy_store", "pyarrow.parquet", "sqlite3",
)  # fmt: skip


def import_all(cache: Path) -> None:
    """Import what a run imports, once; `cache` takes what imports write."""
    from carelake.settings import Home, prepare_environment

    prepare_environment(Home(cache))
    for name in HEAVY:
        importlib.import_module(name)
    # a fork that collects garbage would have to copy all that it shares with us
    gc.freeze()


PATIENCE = float(os.environ.get("CHAOS_PATIENCE", "600"))
"""Seconds after which a run counts as hung; a loaded machine needs more."""


@dataclass
class Orders:
    """What a run is told beyond its command line; none of it is a part of the product.

    Attributes:
        first: the step to begin with; the home must be as the steps before it leave it.
        kill_at: (step, n): kill yourself before the step's n-th change of a file, 0 at its beginning.
        keep: folder that is given a copy of the home before each step.
        count: tell the number of file operations of each step at the end.
        largest_file: no file may grow beyond so many bytes.
    """

    first: str = "init"
    kill_at: tuple[str, int] | None = None
    keep: Path | None = None
    count: bool = False
    largest_file: int | None = None


class Run:
    """A run under way, in a process group of its own."""

    def __init__(self, home: Path, log: Path, orders: Orders | None = None) -> None:
        """Fork and begin; output goes to `log`."""
        self.log, self.began = log, time.monotonic()
        self.steps: dict[str, float] = {}
        self.operations: dict[str, int] = {}
        self._buffer = b""
        self._pipe, tell = os.pipe()
        self.pid = fork(lambda: _run(home, orders or Orders(), tell), log)
        os.close(tell)
        self.code: int | None = None

    def wait_for(self, step: str, seconds: float = PATIENCE) -> bool:
        """Wait until a step begins; False when the run ended before."""
        end = time.monotonic() + seconds
        while step not in self.steps:
            if not self._listen(end):
                return False
        return True

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the end; gives the exit code, negative for a signal. Kills what takes too long."""
        end = time.monotonic() + seconds
        while self._listen(end):
            pass
        if time.monotonic() > end:
            self.kill()
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            self._end_group()
            os.close(self._pipe)
        return self.code

    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        if self.code is not None:
            return False
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def kill(self) -> None:
        """`kill -9`, its children included."""
        self._end_group()

    @property
    def output(self) -> str:
        """What it printed so far, both streams."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _end_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _listen(self, end: float) -> bool:
        """Take in what the run tells; False when it has ended or time is up."""
        left = end - time.monotonic()
        if left <= 0 or not select.select([self._pipe], [], [], left)[0]:
            return False
        told = os.read(self._pipe, 65536)
        if not told:
            return False
        *lines, self._buffer = (self._buffer + told).split(b"\n")
        for line in lines:
            said = json.loads(line)
            if "begin" in said:
                self.steps[said["begin"]] = said["at"]
            else:
                self.operations.update(said["operations"])
        return True


def ask(question: Callable[[], Any], folder: Path) -> Any:
    """The JSON answer of a function that is called in a fork.

    Raises:
        RuntimeError: it failed.
    """
    answer, log = folder / "answer.json", folder / "answer.log"
    answer.unlink(missing_ok=True)

    def child() -> int:
        answer.write_text(json.dumps(question()), encoding="utf-8")
        return 0

    pid = fork(child, log)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise RuntimeError(log.read_text(encoding="utf-8")[-2000:])
    return json.loads(answer.read_text(encoding="utf-8"))


def fork(work: Callable[[], int], log: Path) -> int:
    """Call a function in a fork, in a session of its own, with both streams going to `log`."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        die_with_parent()
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that forked it ends."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


# -- inside the fork -----------------------------------------------------------------------------
def _run(home: Path, orders: Orders, tell: int) -> int:
    """The command line's `run`, with its steps watched."""
    from carelake import cli, pipeline
    from carelake.steps import StepResult, building

    os.environ["CARELAKE_HOME"] = str(home)
    watch = _Watch(home, orders, tell)
    perform, train = pipeline.perform, building.train

    def watched(ctx: Any, name: str, progress: Any, **options: Any) -> Any:
        if STEPS.index(name) < STEPS.index(orders.first):
            return StepResult(name, details={"failed": {}}, summary="was done before")
        watch.begin(name)
        return perform(ctx, name, progress, **options)

    def watched_train(*arguments: Any, **options: Any) -> Any:
        watch.begin("train")
        result = train(*arguments, **options)
        watch.go_on("score")
        return result

    pipeline.perform, building.train = watched, watched_train
    sys.argv = ["carelake", "run"]
    if orders.largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (orders.largest_file, orders.largest_file))
    code = 0
    try:
        sys.addaudithook(watch.look)
        if orders.first == "init":
            watch.begin("init")
        cli.main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    watch.end()
    return code


class _Watch:
    """Tells which step begins, counts changes of files, and kills where it is told to."""

    def __init__(self, home: Path, orders: Orders, tell: int) -> None:
        self._home, self._orders, self._tell = home, orders, tell
        self._root = str(home)
        self._step = ""
        self._operations: dict[str, int] = {}

    def begin(self, step: str) -> None:
        self._step = ""  # our own copy is not counted
        if self._orders.keep:
            copy_tree(self._home, self._orders.keep / step)
        self._say({"begin": step, "at": time.time()})
        if self._orders.kill_at == (step, 0):
            self._die()
        self._step = step

    def go_on(self, step: str) -> None:
        self._step = step

    def end(self) -> None:
        self._step = ""
        if self._orders.count:
            self._say({"operations": self._operations})

    def look(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook: Python tells it of every file that is about to be opened or changed."""
        if not self._step or not self._changes(event, arguments):
            return
        done = self._operations.get(self._step, 0) + 1
        self._operations[self._step] = done
        if self._orders.kill_at == (self._step, done):
            self._die()

    def _changes(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            return bool(writes) and self._is_ours(path)
        if event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.chmod"):
            return any(self._is_ours(path) for path in arguments[:2])
        return False

    def _is_ours(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self._root)  # type: ignore[union-attr]

    def _say(self, what: dict[str, Any]) -> None:
        os.write(self._tell, json.dumps(what).encode() + b"\n")

    def _die(self) -> None:
        os.killpg(os.getpid(), signal.SIGKILL)


def copy_tree(source: Path, target: Path) -> None:
    """A copy with all its times, links and rights; replaces what is there."""
    empty(target)
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", f"{source}/.", str(target)], check=True)


def empty(folder: Path) -> None:
    """Remove what is in a folder, not the folder itself: it may be a mount point."""
    if not folder.exists():
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
