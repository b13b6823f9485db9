"""The journal: `logs/carelake.jsonl`, one line of JSON per command, step, source and batch.

It says what ran, when, with what outcome. It holds no values of records: an error is told by its
kind and, where it was made for every reader, by its public reason.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
from pathlib import Path
from typing import Any

from carelake.settings import Home

NAME = "carelake.jsonl"
LARGEST = 10_000_000
"""Bytes of one file; a larger one becomes `carelake.jsonl.1`, and so on."""
KEPT = 5
"""Files besides the one that is written."""


def write(home: Home, event: str, **fields: Any) -> None:
    """Append one line; a journal that cannot be written stops nothing.

    Args:
        event: what the line is about: `command`, `step`, `source` or `batch`.
        fields: what is None is left out.
    """
    if not home.root.is_dir():
        return
    said = {"at": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"), "event": event}
    said |= {key: value for key, value in fields.items() if value is not None}
    line = json.dumps(said, ensure_ascii=False, default=str) + "\n"
    try:
        home.logs.mkdir(mode=0o700, exist_ok=True)
        _append(home.logs / NAME, line.encode())
    except OSError:  # a full disk has stopped the run already, and that is what is told
        return


def _append(path: Path, line: bytes) -> None:
    """Add a line under a lock, so that lines of several processes never mix."""
    lock = os.open(path.with_name(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists() and path.stat().st_size + len(line) > LARGEST:
            _rotate(path)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            before = os.fstat(handle).st_size
            if os.write(handle, line) < len(line):  # the disk is full: no half line stays
                os.ftruncate(handle, before)
        finally:
            os.close(handle)
    finally:
        os.close(lock)


def _rotate(path: Path) -> None:
    for number in range(KEPT, 0, -1):
        older = path.with_name(f"{NAME}.{number}")
        newer = path.with_name(f"{NAME}.{number - 1}") if number > 1 else path
        if newer.exists():
            newer.replace(older)


def reason(error: BaseException) -> tuple[str, str | None]:
    """What the journal says of an error: its kind, and the reason every reader may know."""
    return type(error).__name__, getattr(error, "public", None)
