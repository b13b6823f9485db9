"""Kinds `files` and `mbox` where the files are elsewhere: S3, SFTP, a web server.

The cursor is the list of files seen, as for a folder: a file is taken again when its ETag, or its
size and time, changed and so did its bytes.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from carelake.errors import ConfigError
from carelake.landing import Manifest, sha256_of
from carelake.source import Source
from carelake.sources.batches import ExtractResult, Place, begin_extract, write_batch
from carelake.sources.connections import Connection, find_connection
from carelake.sources.names import PAGE
from carelake.sources.patience import Passing, Refused, patiently
from carelake.sources.remote import Remote, RemoteFile
from carelake.window import EVERYTHING, Window

ATTEMPTS = 6
MOST_BYTES = 2_000_000_000
"""Of one batch of files that are told apart: what is landed is not fetched again after a kill."""


def extract(
    source: Source,
    landing: Path,
    window: Window = EVERYTHING,
    *,
    is_probe: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> ExtractResult:
    """Land what is new in the files a source's address finds; batches as of a folder.

    Args:
        window: only files that were modified in it.
        is_probe: take the first file only.
        sleep: waits so many seconds between tries.
    """
    connection: Connection | None = None
    with begin_extract(landing, source.name) as place:
        result = ExtractResult(source.name, "nothing_new")
        try:
            if source.connection:
                connection = find_connection(source.connection)
            tries = patiently(ATTEMPTS, sleep)
            found = tries(_listed, source, connection)
            if not found:
                return _nothing_found(source, bool(place.cursor))
            taken = [file for file in found if file.fault is None]
            cursor = place.cursor
            for group in _groups(source, taken[:1] if is_probe else taken, cursor, window):
                number = place.number + len(result.batches)
                manifest = _land(source, connection, group, place, cursor, number, window, sleep)
                if manifest is not None:
                    cursor = manifest.cursor_after
                    result.batches.append(manifest.batch_id)
                    result.n_files += len(manifest.files)
                    result.n_bytes += sum(file.n_bytes for file in manifest.files)
        except (Passing, Refused, ConfigError) as error:
            result.outcome, result.message = "failed", _told(source, connection, error)
            return result
        if result.batches:
            result.outcome = "extracted"
            result.message = f"{result.n_files} files, {result.n_bytes:,} bytes"
        else:
            result.message = f"nothing new{f' {window}' if window else ''}"
        for file in found:
            if file.fault is not None:
                result.outcome, result.message = "failed", f"{file.name}: {file.fault}"
        return result


@contextlib.contextmanager
def _opened(source: Source, connection: Connection | None) -> Iterator[Remote]:
    remote = _open(source.path, connection)
    try:
        yield remote
    finally:
        remote.close()


def _open(path: str, connection: Connection | None) -> Remote:
    scheme, _, rest = path.partition("://")
    host, _, below = rest.partition("/")
    if scheme == "s3":
        from carelake.sources.s3 import S3

        return S3(host, below, connection)
    if scheme == "sftp" and connection is not None:
        from carelake.sources.sftp import SFTP

        name = urlsplit(f"//{host}")
        port = name.port or connection.port or 22
        return SFTP(name.hostname or host, port, f"/{below}", connection)
    from carelake.sources.web_file import WebFile

    return WebFile(path, connection)


def _listed(source: Source, connection: Connection | None) -> list[RemoteFile]:
    with _opened(source, connection) as remote:
        return remote.files()


def _groups(
    source: Source, found: list[RemoteFile], cursor: dict[str, Any], window: Window
) -> list[list[RemoteFile]]:
    """Files that make one batch together, of those that are new and that a window lets through."""
    seen = cursor.get("files", {})
    if source.mode == "append":
        new = [f for f in found if not f.is_as(seen.get(f.name)) and _is_in(window, [f])]
        return _in_portions(new)
    groups: dict[str, list[RemoteFile]] = {}
    for file in found:
        groups.setdefault(PAGE.sub("", file.name), []).append(file)
    # one with an earlier name than what was landed is an old state, and must not replace it
    newest = max((PAGE.sub("", name) for name in seen), default="")
    ordered = [groups[key] for key in sorted(groups) if key >= newest]
    return [
        group
        for group in ordered
        if _is_in(window, group) and not all(f.is_as(seen.get(f.name)) for f in group)
    ]


def _in_portions(files: list[RemoteFile]) -> list[list[RemoteFile]]:
    portions: list[list[RemoteFile]] = []
    n_bytes = MOST_BYTES
    for file in files:
        if n_bytes >= MOST_BYTES:
            portions.append([])
            n_bytes = 0
        portions[-1].append(file)
        n_bytes += file.size or 0
    return portions


def _is_in(window: Window, group: list[RemoteFile]) -> bool:
    if not window:
        return True
    times = [file.modified for file in group if file.modified is not None]
    return bool(times) and max(times) in window


def _land(
    source: Source,
    connection: Connection | None,
    group: list[RemoteFile],
    place: Place,
    cursor: dict[str, Any],
    number: int,
    window: Window,
    sleep: Callable[[float], None],
) -> Manifest | None:
    """Fetch a group and seal it; None when its bytes are those that were landed before."""
    began = time.monotonic()
    seen: dict[str, Any] = dict(cursor.get("files", {}))
    fetched = _Fetched(source, connection, place.draft)
    patiently(ATTEMPTS, sleep)(fetched.rest, group)
    new = [
        (file, path)
        for file, path in fetched.files
        if seen.get(file.name, {}).get("sha256") != sha256_of(path)
    ]
    take = fetched.files if new and source.mode == "snapshot" else new
    if not take:
        return None
    manifest = write_batch(
        place.landing,
        source,
        [(file.name, path) for file, path in take],
        number=number,
        extracted_at=dt.datetime.now(dt.UTC),
        cursor_before=cursor,
        cursor_after={"files": {**seen, **{file.name: dict(file.stamp) for file, _ in take}}},
        window=window,
        details={"requests": fetched.n_fetches, "seconds": round(time.monotonic() - began, 3)},
    )
    for _, path in fetched.files:
        path.unlink()
    return manifest


class _Fetched:
    """What was fetched of a group so far; a try goes on with the file that the last one broke off at."""

    def __init__(self, source: Source, connection: Connection | None, folder: Path) -> None:
        self._source, self._connection, self._folder = source, connection, folder
        self.files: list[tuple[RemoteFile, Path]] = []
        self.n_fetches = 0

    def rest(self, group: list[RemoteFile]) -> None:
        with _opened(self._source, self._connection) as remote:
            for file in group[len(self.files) :]:
                self.n_fetches += 1
                # what a file is packed with is told by the end of its name
                target = self._folder / f"{len(self.files):06d}-{Path(file.name).name[-80:]}"
                self.files.append((remote.fetch(file, target), target))


def _nothing_found(source: Source, is_known: bool) -> ExtractResult:
    if is_known:
        message = f"no file matches {source.path} any more; what was loaded stays"
        return ExtractResult(source.name, "nothing_new", message=message)
    message = f"no file matches {source.path}; put one there or correct `path`"
    return ExtractResult(source.name, "failed", message=message)


def _told(source: Source, connection: Connection | None, error: Exception) -> str:
    named = f"connection '{source.connection}': " if source.connection else ""
    said = str(error) if named.rstrip(": ") in str(error) and named else f"{named}{error}"
    if isinstance(error, Passing):
        said += f" ({ATTEMPTS} tries); the next run goes on"
    if connection is not None and connection.password:
        said = said.replace(connection.password, "***")
    return said
