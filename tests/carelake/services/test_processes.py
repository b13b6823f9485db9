"""Servers are ours by proof, and none of their processes outlives a stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from carelake.services import processes
from carelake.services.processes import Service
from carelake.settings import Home

FAMILY = """
import os, signal, subprocess, sys, time
{setup}
child = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
own_session = subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
bare = subprocess.Popen([sys.executable, "-c", child], env={{}})
print(own_session.pid, bare.pid, flush=True)
while True:
    time.sleep(0.05)
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    processes.stop(home, [r.name for r in processes.known(home)], patience=0.2, force_after=0.5)


def _start(home: Home, setup: str = "") -> tuple[processes.Running, list[int]]:
    command = [sys.executable, "-c", FAMILY.format(setup=setup)]
    running = processes.start(home, Service("family", command))
    end = time.monotonic() + 10
    while time.monotonic() < end:
        words = Path(running.log).read_text(encoding="utf-8").split()
        if len(words) == 2:
            return running, [running.pid, *map(int, words)]
        time.sleep(0.05)
    raise AssertionError("the family did not start")


def _alive(pids: list[int]) -> list[int]:
    def lives(pid: int) -> bool:
        try:
            return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    return [pid for pid in pids if lives(pid)]


def test_stop_leaves_no_process_whatever_session_or_environment_it_moved_to(home: Home) -> None:
    _, pids = _start(home)
    assert processes.stop(home, ["family"], patience=2, force_after=2) == 0
    assert _alive(pids) == []
    assert processes.known(home) == []


def test_those_that_ignore_every_polite_signal_are_killed(home: Home) -> None:
    deaf = "[signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM)]"
    _, pids = _start(home, deaf)
    assert processes.stop(home, ["family"], patience=0.3, force_after=0.5) == len(pids)
    assert _alive(pids) == []


def test_children_of_a_server_that_died_alone_are_found_and_stopped(home: Home) -> None:
    running, pids = _start(home)
    os.kill(running.pid, signal.SIGKILL)
    time.sleep(0.3)
    assert not running.is_alive()
    assert sorted(process.pid for process in running.members()) == sorted(pids[1:])
    processes.stop(home, ["family"], patience=0.3, force_after=2)
    assert _alive(pids) == []


def test_a_process_that_took_over_the_pid_is_left_alone(home: Home) -> None:
    running, _ = _start(home)
    processes.stop(home, ["family"], patience=2, force_after=2)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        file = home.state / "pids" / "family.json"
        file.write_text(json.dumps({**running.__dict__, "pid": stranger.pid}), encoding="utf-8")
        taken = processes.find(home, "family")
        assert taken is not None and not taken.is_alive()
        processes.stop(home, ["family"], patience=0.2, force_after=0.2)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_starting_twice_gives_one_server_and_pid_files_are_private(home: Home) -> None:
    first, _ = _start(home)
    second = processes.start(home, Service("family", [sys.executable, "-c", "pass"]))
    assert second == first
    file = home.state / "pids" / "family.json"
    assert file.stat().st_mode & 0o777 == 0o600


def test_two_homes_never_stop_each_others_servers(home: Home, tmp_path: Path) -> None:
    running, _ = _start(home)
    processes.stop(Home(tmp_path / "other"), ["family"], patience=0.1, force_after=0.1)
    assert running.is_alive()
