"""Kinds `files` and `mbox`: files that a system drops into a folder.

The cursor is the list of files seen, with size, modification time and sha256: a file is taken
again when its bytes changed, whatever its times say. A window looks at modification times: it is
when a file came that a folder can tell, not what it is about. What a window leaves out stays unseen,
for the next extract to take.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from pathlib import Path
from typing import Any

from carelake.landing import Manifest, last_number, manifests, sha256_of, sweep
from carelake.source import Source
from carelake.source_kinds.remote import is_remote
from carelake.sources.batches import ExtractResult, source_lock, write_batch
from carelake.sources.names import PAGE
from carelake.window import EVERYTHING, Window


def extract(
    source: Source,
    base: Path,
    landing: Path,
    window: Window = EVERYTHING,
    *,
    is_probe: bool = False,
) -> ExtractResult:
    """Land what is new in the files a source's glob finds.

    Append: one batch with all new or changed files. Snapshot: one batch per snapshot, in the order
    of file names, so that the last name is the newest state; pages of one snapshot
    (`contacts-page-1.json`, `contacts-page-2.json`) belong together.

    Args:
        base: folder that `path` is relative to.
        is_probe: take the first file only.
        window: only files that were modified in it; pages of one snapshot count as the newest.
    """
    if is_remote(source.path):
        from carelake.sources import remote_files

        return remote_files.extract(source, landing, window, is_probe=is_probe)
    with source_lock(landing, source.name):
        before = manifests(landing, source.name)
        last = last_number(before)
        sweep(landing, source.name, last)
        cursor: dict[str, Any] = before[-1].cursor_after if before else {}
        found = _as_known(find_files(source, base), cursor.get("files", {}))
        if not found:
            return _nothing_found(source, base, before)
        root = base_folder(source, base).resolve()
        refused = {path: fault for _, path in found if (fault := _fault(path, root)) is not None}
        readable = [(name, path) for name, path in found if path not in refused]
        result = ExtractResult(source.name, "nothing_new")
        for group in _groups(source, readable[:1] if is_probe else readable, window):
            number = last + len(result.batches) + 1
            taken, cursor = _land(source, group, landing, cursor, number, window)
            if taken:
                result.batches.append(taken.batch_id)
                result.n_files += len(taken.files)
                result.n_bytes += sum(file.n_bytes for file in taken.files)
        if result.batches:
            result.outcome = "extracted"
            result.message = f"{result.n_files} files, {result.n_bytes:,} bytes"
        else:
            result.message = f"nothing new{f' {window}' if window else ''}"
        if refused:
            path, fault = next(iter(refused.items()))
            result.outcome = "failed"
            result.message = f"{path}: {fault}"
        return result


def find_files(source: Source, base: Path) -> list[tuple[str, Path]]:
    """Files a source's glob finds, as (name, path), ordered by name.

    A name is relative to `base`; that of a file elsewhere to the folder the glob begins in, so that
    names, and the ids made of them, do not depend on where that folder lies.
    """
    start = _start(source, base)
    named: dict[str, Path] = {}
    for path in [path for path in find_paths(source, base) if path.is_file()]:
        name = _name(path, start)
        while name in named:
            name += "~"
        named[name] = path
    return sorted(named.items())


def find_paths(source: Source, base: Path) -> list[Path]:
    """Files and folders that a source's path names."""
    root = Path(source.path).anchor
    pattern = str(Path(source.path).relative_to(root)) if root else source.path
    # by parts, as paths compare: a folder's files stand together
    return sorted((Path(root) if root else base).glob(pattern), key=lambda path: path.parts)


def file_name(path: Path, source: Source, base: Path) -> str:
    """What a file is called in manifests, as `find_files` names it."""
    return _name(path, _start(source, base))


def _start(source: Source, base: Path) -> Path:
    folder = base_folder(source, base)
    return folder if Path(source.path).anchor and not folder.is_relative_to(base) else base


def _as_known(found: list[tuple[str, Path]], seen: Collection[str]) -> list[tuple[str, Path]]:
    """Keep the names under which a home knows files from when they were named by their whole path."""
    return [(str(path) if str(path) in seen else name, path) for name, path in found]


def _name(path: Path, start: Path) -> str:
    """A file's name as text; bytes of it that are none are written out in hex."""
    return (
        str(path.relative_to(start))
        .encode("utf-8", "surrogateescape")
        .decode("utf-8", "backslashreplace")
    )


def base_folder(source: Source, base: Path) -> Path:
    """The folder a source lives in: its path up to the first part with a wildcard."""
    folder = base
    for part in Path(source.path).parts[:-1]:
        if set(part) & set("*?["):
            break
        folder /= part
    return folder


def _fault(path: Path, root: Path) -> str | None:
    """Why a file is not taken, None when it is."""
    if fault := link_fault(path, root):
        return fault
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError:
        return "cannot be read; check its rights"
    return None


def link_fault(path: Path, root: Path) -> str | None:
    """Why a link is not followed, None when it is."""
    if path.resolve().is_relative_to(root):
        return None
    # whoever may drop a file there must not get at what else this user can read
    return f"is a link out of {root}; copy the file, or name its own place in `path`"


def _nothing_found(source: Source, base: Path, before: list[Manifest]) -> ExtractResult:
    if before:
        message = f"no file matches {source.path} any more; what was loaded stays"
        return ExtractResult(source.name, "nothing_new", message=message)
    if (base / source.path).is_dir():
        message = f"{base / source.path} is a folder; write `path: {source.path}/*` for its files"
        return ExtractResult(source.name, "failed", message=message)
    message = f"no file matches {base / source.path}; put one there or correct `path`"
    return ExtractResult(source.name, "failed", message=message)


def _modified(group: list[tuple[str, Path]]) -> dt.datetime:
    """When that one of some files changed that changed last."""
    newest = max(path.stat().st_mtime_ns for _, path in group)
    return dt.datetime.fromtimestamp(newest // 10**9, dt.UTC)


def _groups(
    source: Source, found: list[tuple[str, Path]], window: Window
) -> list[list[tuple[str, Path]]]:
    """Files that make one batch together, of those a window lets through."""
    if source.mode == "append":
        within = [file for file in found if not window or _modified([file]) in window]
        return [within] if within else []
    groups: dict[str, list[tuple[str, Path]]] = {}
    for name, path in found:
        groups.setdefault(PAGE.sub("", name), []).append((name, path))
    ordered = [groups[key] for key in sorted(groups)]
    return [group for group in ordered if not window or _modified(group) in window]


def _land(
    source: Source,
    group: list[tuple[str, Path]],
    landing: Path,
    cursor: dict[str, Any],
    number: int,
    window: Window,
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
        number=number,
        extracted_at=dt.datetime.now(dt.UTC),
        cursor_before=cursor,
        cursor_after=after,
        window=window,
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
