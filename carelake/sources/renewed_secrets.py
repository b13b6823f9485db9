"""Refresh tokens that a service changes with each use: the newest is kept beside the home's secrets.

An Airflow connection cannot be written from a task, so what it holds is the first token; the one
that replaced it is kept in a file of the home (0600). A person who puts another token into the
connection is heard: what was kept for the old one no longer counts.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_folder: ContextVar[Path | None] = ContextVar("renewed_secrets", default=None)


@contextmanager
def kept_in(folder: Path | None) -> Iterator[None]:
    """Keep secrets that are renewed within the block in a folder; nowhere without one."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


class RenewedSecret:
    """The newest form of one secret of a connection.

    Args:
        connection: its name.
        given: the secret that the connection holds.
    """

    def __init__(self, connection: str, given: str) -> None:
        self._given, self._name = given, connection
        self._digest = hashlib.sha256(given.encode()).hexdigest()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """One user of the connection at a time: a token that was used is worth nothing to others."""
        folder = _folder.get()
        if folder is None:
            yield
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / f".{self._name}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    @property
    def value(self) -> str:
        """The newest that is known."""
        path = self._path()
        if path is None or not path.exists():
            return self._given
        kept = json.loads(path.read_text(encoding="utf-8"))
        return str(kept["value"]) if kept["replaces"] == self._digest else self._given

    def replace(self, value: str) -> None:
        """Keep its successor, on the disk before it is needed."""
        path = self._path()
        if path is None:
            self._given = value
            return
        draft = path.with_suffix(".part")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"replaces": self._digest, "value": value}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)

    def _path(self) -> Path | None:
        folder = _folder.get()
        return None if folder is None else folder / f"{self._name}.json"
