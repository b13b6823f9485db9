"""Start servers in sessions of their own and stop every process they left behind.

A pid alone proves nothing after a reboot, so the pid file also holds the process's start time.
Each server carries a mark in its environment that its children inherit: whoever bears it is ours,
whatever session or parent it moved to, and nothing else is ever signalled.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped, unused-ignore]

from carelake.errors import RunFailed
from carelake.services.files import write_private

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from carelake.settings import Home

MARK = "CARELAKE_SERVICE_MARK"
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Service:
    """How one server is started: `environment` is added to ours."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None


@dataclass(frozen=True)
class Running:
    """A server as its pid file tells it."""

    name: str
    pid: int
    started: float
    mark: str
    log: str

    def is_alive(self) -> bool:
        """Whether the process we started, and no later owner of its pid, still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1.0
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def members(self) -> list[psutil.Process]:
        """Every living process of this server, the leader first."""
        found = [process for process in psutil.process_iter() if self._owns(process)]
        return sorted(found, key=lambda process: (process.pid != self.pid, process.pid))

    def _owns(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if process.environ().get(MARK) == self.mark:
                return True
            # a child that cleared its environment still sits in the session we made
            in_session = os.getsid(process.pid) == self.pid
            return in_session and process.create_time() >= self.started - 1.0
        return False


def start(home: Home, service: Service) -> Running:
    """Start a server unless it runs already; its output goes to `state/logs/<name>.log`.

    Raises:
        RunFailed: the command could not be started.
    """
    if (there := find(home, service.name)) is not None and there.is_alive():
        return there
    log = home.state / "logs" / f"{service.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex
    log.write_bytes(b"")
    # for appending, so that `carelake tidy` may cut a log that is being written
    with log.open("a", encoding="utf-8") as output:
        try:
            child = subprocess.Popen(
                list(service.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=service.directory,
                env={**os.environ, **service.environment, MARK: mark},
                start_new_session=True,
                # a shell's background job ignores SIGINT and would pass that on
                preexec_fn=_listen_to_interrupts,
            )
        except OSError as error:
            raise RunFailed(f"{service.name} did not start: {error}") from error
    _children.append(child)
    running = Running(
        service.name, child.pid, psutil.Process(child.pid).create_time(), mark, str(log)
    )
    write_private(_pid_file(home, service.name), json.dumps(running.__dict__))
    return running


def find(home: Home, name: str) -> Running | None:
    """What the pid file of a server says, None without one; it may be dead."""
    try:
        return Running(**json.loads(_pid_file(home, name).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def known(home: Home) -> list[Running]:
    """Every server with a pid file in this home."""
    files = sorted((home.state / "pids").glob("*.json"))
    return [running for file in files if (running := find(home, file.stem)) is not None]


def stop(
    home: Home, names: Iterable[str], *, patience: float = 10.0, force_after: float = 5.0
) -> int:
    """Stop servers together: SIGINT to each leader, SIGTERM to the rest, SIGKILL to the stubborn.

    Args:
        home: whose servers.
        names: which of them; unknown names are passed over.
        patience: seconds a server is given to finish after SIGINT.
        force_after: seconds from SIGTERM to SIGKILL.

    Returns:
        How many processes had to be killed with SIGKILL.

    Raises:
        RunFailed: a process outlived SIGKILL.
    """
    targets = [running for name in names if (running := find(home, name)) is not None]
    for running in targets:
        if running.is_alive():
            _signal([psutil.Process(running.pid)], signal.SIGINT)
    _wait(targets, patience)
    _signal(_all_members(targets), signal.SIGTERM)
    _wait(targets, force_after)
    stubborn = _all_members(targets)
    _signal(stubborn, signal.SIGKILL)
    _wait(targets, 5.0)
    if left := _all_members(targets):
        raise RunFailed(f"could not stop process {left[0].pid}; see {home.state / 'logs'}")
    for running in targets:
        _pid_file(home, running.name).unlink(missing_ok=True)
    return len(stubborn)


_children: list[subprocess.Popen[bytes]] = []
"""Children of this very process: they must be reaped, or they stay zombies until it ends."""


def _listen_to_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _pid_file(home: Home, name: str) -> Path:
    return home.state / "pids" / f"{name}.json"


def _all_members(targets: list[Running]) -> list[psutil.Process]:
    return [process for running in targets for process in running.members()]


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _wait(targets: list[Running], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for child in _children:
            child.poll()
        # walking all processes is dear; while a leader lives, its own pid says enough
        if not any(running.is_alive() for running in targets) and not _all_members(targets):
            return
        time.sleep(POLL_SECONDS)
