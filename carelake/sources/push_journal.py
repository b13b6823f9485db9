"""What was pushed, safe on disk before it is acknowledged, and sealed into batches.

A journal is a file of lines under `landing/<source>/.pushed`. Requests that come while one write is on its
way to the disk are written together by the next (group commit): one fsync serves them all. A batch names
the last journal in it as its cursor, so a journal that a killed process left is sealed once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from carelake.landing import Manifest, last_number, manifests, sweep, sync_folder
from carelake.source import Source
from carelake.sources.batches import source_lock, write_batch

ENDING = ".jsonl"


class AlreadyServed(Exception):
    """Another process takes what is pushed to this source."""


@contextmanager
def only_writer(landing: Path, source: str) -> Iterator[None]:
    """Be the one process that writes or clears journals of a source.

    Raises:
        AlreadyServed: another one is.
    """
    folder = _folder(landing, source)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyServed(source) from error
        yield


def seal(landing: Path, source: Source, below: int | None = None) -> Manifest | None:
    """Make a batch of the journals that are in none yet; None when nothing came.

    Args:
        below: leave this journal and those after it, which are still written.
    """
    with source_lock(landing, source.name):
        before = manifests(landing, source.name)
        last = last_number(before)
        sweep(landing, source.name, last)
        cursor = before[-1].cursor_after if before else {}
        sealed = int(cursor.get("journal", 0))
        waiting, manifest = [], None
        for path in _journals(landing, source.name):
            if _number(path) <= sealed:
                path.unlink()  # its batch was complete when the process ended
            elif below is None or _number(path) < below:
                _cut_torn_line(path)
                waiting.append(path)
        files = [
            (f"pushed-{_number(path):06d}{ENDING}", path) for path in waiting if path.stat().st_size
        ]
        if files:
            manifest = write_batch(
                landing,
                source,
                files,
                number=last + 1,
                extracted_at=dt.datetime.now(dt.UTC),
                cursor_before=cursor,
                cursor_after={"journal": _number(waiting[-1])},
            )
        for path in waiting:
            path.unlink()
        return manifest


class Journal:
    """The journal of one source, for one event loop; use it inside `only_writer`.

    Attributes:
        n_waiting: requests whose line is not on the disk yet.
        n_lines: lines that are in no batch yet.
    """

    def __init__(self, landing: Path, source: Source) -> None:
        self.source = source
        self.n_lines = 0
        self._landing = landing
        self._number = 1 + max(
            (_number(path) for path in _journals(landing, source.name)),
            default=_sealed(landing, source.name),
        )
        self._file = self._open()
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        # one thread: writes and rotations follow one another
        self._disk = ThreadPoolExecutor(1, f"journal-{source.name}")

    @property
    def n_waiting(self) -> int:
        """Requests whose line is not on the disk yet."""
        return len(self._waiting)

    async def append(self, line: bytes) -> None:
        """Return once a line is safe on the disk.

        Raises:
            OSError: it cannot be written.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((line, done))
        self._wake.set()
        await done

    async def write(self) -> None:
        """Write what is appended, for as long as the process runs."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            taken, self._waiting = self._waiting, []
            fault: BaseException | None = None
            try:
                await loop.run_in_executor(self._disk, self._to_disk, [line for line, _ in taken])
                self.n_lines += len(taken)
            except OSError as error:
                fault = error
            for _, done in taken:
                if done.done():
                    continue  # who asked has gone
                if fault is None:
                    done.set_result(None)
                else:
                    done.set_exception(fault)

    async def seal(self) -> Manifest | None:
        """Begin a new journal, and make a batch of those before.

        Raises:
            OSError, RunFailed: it cannot be written; the lines stay counted, so that it is tried again.
        """
        n_lines = self.n_lines
        if not n_lines:
            return None
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._disk, self._rotate)
        manifest = await asyncio.to_thread(seal, self._landing, self.source, self._number)
        self.n_lines -= n_lines
        return manifest

    def close(self) -> None:
        """Write no more; what is in the journal is sealed by the next process, or the next extract."""
        self._disk.shutdown(wait=True)
        self._file.close()

    def _open(self) -> IO[bytes]:
        folder = _folder(self._landing, self.source.name)
        path = folder / f"{self._number:06d}{ENDING}"
        file = path.open("xb", buffering=0)
        path.chmod(0o600)
        sync_folder(folder)
        return file

    def _rotate(self) -> None:
        if not self._file.tell():
            return  # it was begun for a batch that could not be written, and nothing came since
        old = self._file
        self._number += 1
        try:
            self._file = self._open()
        except OSError:
            self._number -= 1
            raise
        old.close()

    def _to_disk(self, lines: list[bytes]) -> None:
        whole = memoryview(b"".join(lines))
        begin = self._file.tell()
        try:
            while whole:
                whole = whole[self._file.write(whole) :]
            os.fdatasync(self._file.fileno())
        except OSError:
            # half a line must not stand before the next one
            self._file.truncate(begin)
            self._file.seek(begin)
            raise


def _folder(landing: Path, source: str) -> Path:
    return landing / source / ".pushed"


def _journals(landing: Path, source: str) -> list[Path]:
    return sorted(_folder(landing, source).glob(f"*{ENDING}"))


def _number(path: Path) -> int:
    return int(path.stem)


def _sealed(landing: Path, source: str) -> int:
    before = manifests(landing, source)
    return int(before[-1].cursor_after.get("journal", 0)) if before else 0


def _cut_torn_line(path: Path) -> None:
    """Take off what a killed process had begun to write: it was never acknowledged."""
    with path.open("r+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - 65_536)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                end = begin + found + 1
                break
            end = begin
        if end < size:
            file.truncate(end)
            os.fsync(file.fileno())
