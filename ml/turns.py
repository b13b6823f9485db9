"""One training or scoring of a home at a time; a second one waits, and finds the work done."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from carelake.settings import Home


@contextmanager
def own_turn(home: Home, report: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of this home's models; the kernel frees it when its holder dies.

    The writer's lock would not do: nobody should wait for a training who only wants to load.
    """
    home.mlflow_dir.mkdir(parents=True, exist_ok=True)
    handle = os.open(home.mlflow_dir / "models.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another training or scoring of this home")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
