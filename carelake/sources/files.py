"""Kinds `files` and `mbox`: files that a system drops into a folder.

The cursor is the list of files seen, with size, modification time and sha256: a file is taken
again when its bytes changed, whatever its times say.
"""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

from carelake.landing import Manifest, last_number, manifests, sha256_of, sweep
from carelake.source_list import Source
from carelake.sources.batches import ExtractResult, source_lock, write_batch

PAGE = re.compile(r"[._-]?(?:page|part|p)[._-]?\d+", re.IGNORECASE)
"""What tells the pages of one snapshot apart in their names, as in contacts-page-2.json."""


def extract_files(source: Source, base: Path, landing: Path) -> ExtractResult:
    """Land what is new in the files a source's glob finds.

    Append: one batch with all new or changed files. Snapshot: one batch per snapshot, in the order
    of file names, so that the last name is the newest state; pages of one snapshot
    (`contacts-page-1.json`, `contacts-page-2.json`) belong together.

    Args:
        base: folder that `path` is relative to.
    """
    with source_lock(landing, source.name):
        before = manifests(landing, source.name)
        last = last_number(before)
        sweep(landing, source.name, last)
        cursor: dict[str, Any] = before[-1].cursor_after if before else {}
        found = find_files(source, base)
        if not found:
            return _nothing_found(source, base, before)
        unreadable = [name for name, path in found if not _readable(path)]
        readable = [(name, path) for name, path in found if name not in unreadable]
        result = ExtractResult(source.name, "nothing_new")
        for group in _groups(source, readable):
            taken, cursor = _land(source, group, landing, cursor, last + len(result.batches))
            if taken:
                result.batches.append(taken.batch_id)
                result.n_files += len(taken.files)
                result.n_bytes += sum(file.n_bytes for file in taken.files)
        if result.batches:
            result.outcome = "extracted"
            result.message = f"{result.n_files} files, {result.n_bytes:,} bytes"
        else:
            result.message = "nothing new"
        if unreadable:
            result.outcome = "failed"
            result.message = f"{base / unreadable[0]}: cannot be read; check its rights"
        return result


def find_files(source: Source, base: Path) -> list[tuple[str, Path]]:
    """Files a source's glob finds, as (name relative to `base`, path), ordered by name."""
    root = Path(source.path).anchor
    pattern = str(Path(source.path).relative_to(root)) if root else source.path
    found = (Path(root) if root else base).glob(pattern)
    named = {_name(path, base): path for path in found if path.is_file()}
    return sorted(named.items())


def _name(path: Path, base: Path) -> str:
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def _readable(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError:
        return False
    return True


def _nothing_found(source: Source, base: Path, before: list[Manifest]) -> ExtractResult:
    if before:
        message = f"no file matches {source.path} any more; what was loaded stays"
        return ExtractResult(source.name, "nothing_new", message=message)
    if (base / source.path).is_dir():
        message = f"{base / source.path} is a folder; write `path: {source.path}/*` for its files"
        return ExtractResult(source.name, "failed", message=message)
    message = f"no file matches {base / source.path}; put one there or correct `path`"
    return ExtractResult(source.name, "failed", message=message)


def _groups(source: Source, found: list[tuple[str, Path]]) -> list[list[tuple[str, Path]]]:
    """Files that make one batch together."""
    if source.mode == "append":
        return [found]
    groups: dict[str, list[tuple[str, Path]]] = {}
    for name, path in found:
        groups.setdefault(PAGE.sub("", name), []).append((name, path))
    return [groups[key] for key in sorted(groups)]


def _land(
    source: Source,
    group: list[tuple[str, Path]],
    landing: Path,
    cursor: dict[str, Any],
    last: int,
) -> tuple[Manifest | None, dict[str, Any]]:
    """Write a batch if anything in the group is new; a snapshot is landed whole."""
    seen: dict[str, Any] = dict(cursor.get("files", {}))
    if source.mode == "snapshot" and _is_outdated(group, seen):
        return None, cursor
    changed = [(name, path) for name, path in group if _is_new(path, seen.get(name))]
    if not changed:
        return None, cursor
    take = group if source.mode == "snapshot" else changed
    after = {"files": {**seen, **{name: _stamp(path) for name, path in take}}}
    manifest = write_batch(
        landing,
        source,
        take,
        number=last + 1,
        extracted_at=dt.datetime.now(dt.UTC),
        cursor_before=cursor,
        cursor_after=after,
    )
    return manifest, manifest.cursor_after


def _is_outdated(group: list[tuple[str, Path]], seen: dict[str, Any]) -> bool:
    """Whether a snapshot with a later name was landed before: an old one must not replace it."""
    newest = max((PAGE.sub("", name) for name in seen), default="")
    return PAGE.sub("", group[0][0]) < newest


def _stamp(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _is_new(path: Path, seen: dict[str, Any] | None) -> bool:
    if seen is None:
        return True
    stamp = _stamp(path)
    if stamp["size"] == seen["size"] and stamp["mtime_ns"] == seen["mtime_ns"]:
        return False
    return sha256_of(path) != str(seen["sha256"])
