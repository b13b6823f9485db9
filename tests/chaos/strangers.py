"""Processes that are not ours and hold what a run needs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.runs import fork

PATIENCE = 120.0


class Stranger:
    """A process that takes hold of something, keeps it for as long as the block lasts, and ends."""

    def __init__(self, take: Callable[[], object], log: Path) -> None:
        """Fork, and wait until it holds what it is to hold."""
        ready, tell = os.pipe()

        def hold() -> int:
            os.close(ready)
            held = take()
            os.write(tell, b"!")
            signal.sigwait([signal.SIGTERM])
            del held
            return 0

        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        self.pid = fork(hold, log)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        os.close(tell)
        self.holds = os.read(ready, 1) == b"!"
        os.close(ready)

    @classmethod
    def with_lock(cls, home: Path, *, named: bool) -> Stranger:
        """One that holds the writer's lock; a well-behaved one writes its name into it."""

        def take() -> int:
            handle = os.open(home / "warehouse.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX)
            os.ftruncate(handle, 0)
            if named:
                me = {"pid": os.getpid(), "host": socket.gethostname(), "purpose": "nightly copy"}
                os.pwrite(handle, json.dumps(me).encode(), 0)
            return handle

        return cls(take, home.parent / "stranger.log")

    @classmethod
    def with_database(cls, home: Path) -> Stranger:
        """One that has opened the warehouse for writing."""

        def take() -> object:
            import duckdb

            end = time.monotonic() + PATIENCE
            while True:
                try:
                    return duckdb.connect(str(home / "warehouse.duckdb"))
                except duckdb.IOException:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.005)

        return cls(take, home.parent / "stranger.log")

    @classmethod
    def with_sqlite(cls, database: Path) -> Stranger:
        """One that is in the middle of a write to an SQLite file."""

        def take() -> object:
            import sqlite3

            con = sqlite3.connect(database, timeout=PATIENCE, isolation_level=None)
            con.execute("begin exclusive")
            return con

        return cls(take, database.parents[2] / "stranger.log")

    def kill(self) -> None:
        """`kill -9`."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
