"""Kinds `maildir` and `eml`: mails that are a file each.

What is new is told by the time the file system notes of each change to a file's content or name,
which nobody can set: a mailbox of a million mails needs no list of a million names. The newest
files are remembered by name besides, as two may change within one tick of that clock. A file that is
read twice is harmless: mails are told by their id.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carelake.landing import Manifest
from carelake.source import Source
from carelake.sources.batches import ExtractResult, Place, begin_extract, write_batch
from carelake.sources.files import base_folder, file_name, find_files, find_paths, link_fault
from carelake.sources.mail_pack import MailPack
from carelake.window import EVERYTHING, Window

BATCH_BYTES = 1_000_000_000
"""About so many bytes of mails make a batch; more are another one."""
LARGEST_MAIL = 100_000_000
"""Bytes; of a larger mail only so many land, and load rejects it."""
OVERLAP = 3_600 * 10**9
"""Nanoseconds before the newest change in which files are remembered by name."""


@dataclass(frozen=True)
class _Mail:
    name: str
    path: Path
    size: int
    changed: int
    modified: int

    @property
    def stamp(self) -> str:
        return f"{self.changed} {self.name}"


def extract(
    source: Source,
    base: Path,
    landing: Path,
    window: Window = EVERYTHING,
    *,
    is_probe: bool = False,
) -> ExtractResult:
    """Land the mails that are new since the last time, packed into a few files.

    Args:
        base: folder that `path` is relative to.
        window: only files that were modified in it; the cursor stays where it is.
        is_probe: take the first mail only.
    """
    with begin_extract(landing, source.name) as place:
        found, faults = _find(source, base)
        if not found and not faults:
            return _nothing_found(source, base, place)
        result = ExtractResult(source.name, "nothing_new")
        cursor = place.cursor
        wanted = _wanted(source, found, cursor, window)[: 1 if is_probe else None]
        for mails in _batches(wanted, BATCH_BYTES if source.mode == "append" else None):
            number = place.number + len(result.batches)
            manifest = _land(source, mails, place, cursor, number, window, faults)
            if manifest is None:
                continue
            cursor = manifest.cursor_after
            result.batches.append(manifest.batch_id)
            result.n_files += manifest.details["messages"]
            result.n_bytes += sum(file.n_bytes for file in manifest.files)
        if result.batches:
            result.outcome = "extracted"
            result.message = f"{result.n_files:,} mails, {result.n_bytes:,} bytes"
        else:
            result.message = f"nothing new{f' {window}' if window else ''}"
        if faults:
            result.outcome = "failed"
            more = f" (and {len(faults) - 1:,} more)" if len(faults) > 1 else ""
            result.message = f"{faults[0]}{more}"
        return result


def _find(source: Source, base: Path) -> tuple[list[_Mail], list[str]]:
    """Mails there are, in the order of their changes, and why others are not taken."""
    root = base_folder(source, base).resolve()
    folders: dict[Path, str | None] = {}
    files = _of_maildirs(source, base) if source.kind == "maildir" else find_files(source, base)
    mails: list[_Mail] = []
    faults: list[str] = []
    for name, path in files:
        if path.parent not in folders:
            folders[path.parent] = fault = link_fault(path.parent, root)
            faults += [f"{path.parent}: {fault}"] if fault else []
        if folders[path.parent]:
            continue
        if path.is_symlink() and (fault := link_fault(path, root)):
            faults.append(f"{path}: {fault}")
            continue
        try:
            stat = path.stat()
        except OSError:
            continue  # gone, or moved from new/ to cur/ just now: the next run finds it there
        mails.append(_Mail(name, path, stat.st_size, stat.st_ctime_ns, stat.st_mtime_ns))
    return sorted(mails, key=lambda mail: (mail.changed, mail.name)), faults


def _of_maildirs(source: Source, base: Path) -> Iterator[tuple[str, Path]]:
    for folder in find_paths(source, base):
        for part in ("new", "cur"):
            if (folder / part).is_dir():
                with os.scandir(folder / part) as entries:
                    for entry in entries:
                        if not entry.name.startswith("."):
                            path = Path(entry.path)
                            yield file_name(path, source, base), path


def _wanted(
    source: Source, found: list[_Mail], cursor: dict[str, Any], window: Window
) -> list[_Mail]:
    if window:
        return [mail for mail in found if _moment(mail.modified) in window]
    # a clock that was ahead must not hide what comes after it was put right
    newest = min(int(cursor.get("changed", 0)), time.time_ns())
    recent, unread = set(cursor.get("recent", [])), set(cursor.get("unread", []))
    fresh = [
        mail
        for mail in found
        if mail.name in unread or (mail.changed > newest - OVERLAP and mail.stamp not in recent)
    ]
    if source.mode == "snapshot":
        # what is gone shows by its absence
        return found if fresh or cursor.get("n_files") != len(found) else []
    return fresh


def _batches(mails: list[_Mail], most: int | None) -> Iterator[list[_Mail]]:
    """Mails in batches of about so many bytes; a snapshot is one, whatever its size."""
    batch: list[_Mail] = []
    n_bytes = 0
    for mail in mails:
        batch.append(mail)
        n_bytes += mail.size
        if most is not None and n_bytes > most:
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch


def _land(
    source: Source,
    mails: list[_Mail],
    place: Place,
    cursor: dict[str, Any],
    number: int,
    window: Window,
    faults: list[str],
) -> Manifest | None:
    folder = place.draft / f"{number:06d}"
    folder.mkdir()
    pack, unread = MailPack(folder), []
    for mail in mails:
        try:
            content = _content(mail)
        except FileNotFoundError:
            continue
        except OSError as error:
            unread.append(mail.name)
            faults.append(f"{mail.path}: cannot be read ({error.strerror}); check its rights")
            continue
        pack.add(mail.name, content, _moment(mail.modified))
    files = pack.close()
    if not files:
        return None
    return write_batch(
        place.landing,
        source,
        files,
        number=number,
        extracted_at=dt.datetime.now(dt.UTC),
        cursor_before=cursor,
        cursor_after=cursor if window else _cursor(mails, unread, cursor),
        window=window,
        details={"messages": pack.n_messages},
    )


def _content(mail: _Mail) -> bytes:
    with mail.path.open("rb", buffering=0) as file:
        if mail.size > LARGEST_MAIL:
            return file.read(LARGEST_MAIL + 1)
        # to its end, as it may have grown; to ask for a number of bytes takes memory for as many
        return file.readall()[: LARGEST_MAIL + 1]


def _cursor(mails: list[_Mail], unread: list[str], before: dict[str, Any]) -> dict[str, Any]:
    """The newest change, the files of the last stretch before it, and those that could not be read."""
    newest = max(mails[-1].changed, int(before.get("changed", 0)))
    stamps = {mail.stamp for mail in mails} | set(before.get("recent", []))
    recent = sorted(s for s in stamps if int(s.partition(" ")[0]) > newest - OVERLAP)
    return {"changed": newest, "recent": recent, "unread": unread, "n_files": len(mails)}


def _moment(nanoseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(nanoseconds // 10**9, dt.UTC)


def _nothing_found(source: Source, base: Path, place: Place) -> ExtractResult:
    what = "maildir with new/ and cur/" if source.kind == "maildir" else "mail"
    if place.cursor:
        message = f"no {what} matches {source.path} any more; what was loaded stays"
        return ExtractResult(source.name, "nothing_new", message=message)
    paths = find_paths(source, base)
    if source.kind == "maildir" and any((path / "cur").is_dir() for path in paths):
        return ExtractResult(source.name, "nothing_new", message="the mailbox is empty")
    message = f"no {what} matches {base / source.path}; put one there or correct `path`"
    return ExtractResult(source.name, "failed", message=message)
