"""One keeper at a time: what is copied by a backup is not packed or removed meanwhile."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from carelake.errors import WriterBusy
from carelake.settings import Home


@contextmanager
def keeping_lock(home: Home, purpose: str) -> Iterator[None]:
    """Hold off other backups, `tidy` and `retention apply`; runs go on.

    Raises:
        WriterBusy: one of them is under way.
    """
    home.state.mkdir(parents=True, exist_ok=True)
    path = home.state / "keeping.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 200, 0).decode(errors="replace") or "another keeper"
            raise WriterBusy(f"{path}: held by {holder}; try again when it is done") from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"`{purpose}` (process {os.getpid()})".encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)
