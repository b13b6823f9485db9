from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from carelake.errors import RunFailed
from carelake.settings import Home
from carelake.warehouse.connection import write_lock

HOLD = """
import fcntl, json, os, socket, sys, time
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(handle, fcntl.LOCK_EX)
if sys.argv[2]:
    me = {"pid": os.getpid(), "host": socket.gethostname(), "purpose": sys.argv[2]}
    os.pwrite(handle, json.dumps(me).encode(), 0)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@contextmanager
def stranger(home: Home, purpose: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home.lock), purpose], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def refused(home: Home) -> str:
    with pytest.raises(RunFailed) as error, write_lock(home, "test", wait_seconds=0.2):
        pass
    return str(error.value)


def test_a_holder_is_named_by_what_it_wrote(home: Home) -> None:
    with stranger(home, "nightly copy") as holder:
        assert f"held by `nightly copy` (process {holder.pid} on {socket.gethostname()})" in (
            refused(home)
        )


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the kernel does not list locks")
def test_a_holder_that_wrote_nothing_is_named_by_its_process(home: Home) -> None:
    with stranger(home, "") as holder:
        assert f"held by process {holder.pid}, which is none of ours" in refused(home)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the kernel does not list locks")
def test_the_name_a_killed_holder_left_is_not_taken_for_the_one_who_holds_now(home: Home) -> None:
    dead = {"pid": 2**22 + 1, "host": socket.gethostname(), "purpose": "long ago"}
    home.lock.write_text(json.dumps(dead))
    with stranger(home, "") as holder:
        said = refused(home)
    assert "long ago" not in said and str(holder.pid) in said


def test_a_killed_holder_leaves_the_lock_free(home: Home) -> None:
    with stranger(home, "nightly copy") as holder:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        with write_lock(home, "test", wait_seconds=5):
            handle = os.open(home.lock, os.O_RDWR)
            with pytest.raises(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(handle)


def test_who_waits_is_told_for_whom_even_when_nobody_asked(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    with stranger(home, "nightly copy"):
        refused(home)
    assert "waiting for the warehouse, held by `nightly copy`" in capsys.readouterr().err
