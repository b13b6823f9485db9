"""Write one batch: copy the bytes, count them, seal them with a manifest."""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carelake.errors import RunFailed
from carelake.landing import (
    MANIFEST,
    LandedFile,
    Manifest,
    last_number,
    manifests,
    sweep,
    write_manifest,
)
from carelake.source import Source
from carelake.window import EVERYTHING, Window

CHUNK = 1 << 20
OUR_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


@dataclass
class ExtractResult:
    """What one extract of one source did.

    `outcome` is 'extracted', 'nothing_new' or 'failed'; `batches` are ids, oldest first.
    """

    source: str
    outcome: str
    batches: list[str] = field(default_factory=list)
    n_files: int = 0
    n_bytes: int = 0
    message: str = ""


@contextmanager
def source_lock(landing: Path, source: str) -> Iterator[None]:
    """One extract of a source at a time; another one waits."""
    folder = landing / source
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Place:
    """Where one extract of a source writes, and what it goes on from.

    Attributes:
        cursor: the newest complete manifest's, empty before the first.
        number: ordinal of the batch to be written.
        draft: an empty folder for what is being read, gone afterwards.
    """

    landing: Path
    cursor: dict[str, Any]
    number: int
    draft: Path


@contextmanager
def begin_extract(landing: Path, source: str) -> Iterator[Place]:
    """Hold a source, clear away what a killed extract left, and make room for what is read.

    Raises:
        DamagedManifest: nobody knows any more where the last extract ended.
    """
    with source_lock(landing, source):
        before = manifests(landing, source)
        last = last_number(before)
        sweep(landing, source, last)
        draft = landing / source / ".reading"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        try:
            yield Place(landing, before[-1].cursor_after if before else {}, last + 1, draft)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def write_batch(
    landing: Path,
    source: Source,
    files: list[tuple[str, Path]],
    *,
    number: int,
    extracted_at: dt.datetime,
    cursor_before: dict[str, Any],
    cursor_after: dict[str, Any],
    details: dict[str, Any] | None = None,
    window: Window = EVERYTHING,
) -> Manifest:
    """Copy files into a new batch folder and seal it.

    A folder without a manifest is what a killed extract left; it is written anew.

    Args:
        files: pairs (name in the source system, where it can be read now).
        number: the batch's ordinal in its source, from 1.
        cursor_after: where the next extract begins; files it lists get their sha256 here.
        details: what the manifest tells of the reading: window, pages, requests, seconds.
        window: what the extract was restricted to.
    """
    batch_id = f"{source.name}-{number:06d}"
    folder = landing / source.name / batch_id
    if folder.exists() and not (folder / MANIFEST).exists():
        shutil.rmtree(folder)
    began = time.monotonic()
    with _written(folder):
        folder.mkdir(parents=True)
        landed = [_copy(path, folder, i, name) for i, (name, path) in enumerate(files, start=1)]
    for file in landed:
        if file.name in cursor_after.get("files", {}):
            cursor_after["files"][file.name]["sha256"] = file.sha256
    manifest = Manifest(
        batch_id=batch_id,
        source=source.name,
        kind=source.kind,
        extracted_at=extracted_at,
        files=landed,
        cursor_before=cursor_before,
        cursor_after=cursor_after,
        details=details or {"seconds": round(time.monotonic() - began, 3)},
        since=window.since,
        until=window.until,
    )
    with _written(folder):
        write_manifest(landing, manifest)
    return manifest


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """Tell trouble with our own disk from trouble with the source's files."""
    try:
        yield
    except OSError as error:
        if error.errno not in OUR_DISK:
            raise
        raise RunFailed(
            f"{folder}: cannot be written ({error.strerror}); make room and run it again"
        ) from error


def _copy(path: Path, folder: Path, ordinal: int, name: str) -> LandedFile:
    safe = re.sub(r"[^\w.\-]", "_", path.name, flags=re.ASCII)[-80:]
    # readers tell by the end of a name that a file is packed; Windows may write it in capitals
    safe = re.sub(r"\.(gz|zst)$", lambda end: end[0].lower(), safe, flags=re.IGNORECASE)
    target = folder / f"{ordinal:04d}-{safe}"
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    target.chmod(0o440)
    return LandedFile(name=name, landed=target.name, sha256=digest.hexdigest(), n_bytes=size)
