"""Tidy: what may go when room is short, and what may be packed; never what is recorded.

Each kind is told apart, so that `--dry-run` can say what would come of it. Published versions and
feature folders are not here: the steps that write them keep a few and remove the rest.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from carelake.errors import RunFailed
from carelake.keeping.kept_features import outdated
from carelake.keeping.lock import keeping_lock
from carelake.keeping.metrics import folder_bytes
from carelake.landing import (
    PACKED,
    LandedFile,
    Manifest,
    manifests,
    pack_file,
    settle_files,
)
from carelake.settings import Context, Home
from carelake.warehouse.connection import connect, tell, write_lock

DAY = 86_400.0
DENSE = frozenset({".gz", ".zst", ".xlsx", ".parquet", ".zip"})
"""Files that are packed by themselves."""
SMALL = 4096
"""Bytes that a file system gives a file anyway: to pack one of that size frees nothing."""
WORTH_IT = 0.9
"""A packed form larger than this share of the file is not kept."""
KEPT_SCORES = 3
LARGEST_ERROR_LOG = 1_000_000
LARGEST_SERVER_LOG = 50_000_000


@dataclass(frozen=True)
class Freed:
    """What one kind of tidying freed: things, and bytes."""

    kind: str
    what: str
    n: int
    n_bytes: int


def tidy(ctx: Context, *, dry_run: bool = False, say: Callable[[str], None] = tell) -> list[Freed]:
    """Free what the settings under `keeping` allow; one row per kind that had something.

    Args:
        dry_run: count and change nothing. What packing would save is told by the sizes of the files
            as a bound: nobody knows before it is done.
    """
    from carelake.keeping.tidy_airflow import forget_airflow
    from carelake.keeping.tidy_models import forget_runs

    home, keeping = ctx.home, ctx.settings.keeping
    with keeping_lock(home, "tidy"):
        found = [
            _pack_landing(ctx, dry_run=dry_run, say=say),
            _remove("scores", "of earlier models or features", _old_scores(home), dry_run),
            _remove("leftovers", "of what was killed", _leftovers(home), dry_run),
            _remove(
                "logs",
                f"older than {keeping.log_days} days",
                _logs(home, keeping.log_days),
                dry_run,
            ),
            _cut_logs(home, dry_run=dry_run),
            forget_runs(home, keeping.rejected_runs, dry_run=dry_run),
            _remove("features", "kept, of rows that are gone", _outdated(ctx, say), dry_run),
            *forget_airflow(home, keeping.airflow_days, dry_run=dry_run, say=say),
        ]
    return [each for each in found if each.n]


def _remove(kind: str, what: str, paths: Iterable[Path], dry_run: bool) -> Freed:
    count = size = 0
    for path in paths:
        count += 1
        size += folder_bytes(path) if path.is_dir() else path.stat().st_size
        if dry_run:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return Freed(kind, what, count, size)


# -- landing -----------------------------------------------------------------------------------
def _pack_landing(ctx: Context, *, dry_run: bool, say: Callable[[str], None]) -> Freed:
    """Pack the files of old batches one by one: the bytes are the same when they are read."""
    days = ctx.settings.keeping.pack_after_days
    limit = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    landing = ctx.home.landing
    count = saved = 0
    for manifest in manifests(landing):
        if manifest.extracted_at >= limit:
            continue
        folder = manifest.folder(landing)
        old = [file for file in manifest.files if _is_packable(folder, file)]
        if dry_run:
            count, saved = count + len(old), saved + sum(file.n_bytes for file in old)
            continue
        packed = _pack_batch(ctx.home, manifest, old, say)
        count, saved = count + len(packed), saved + sum(packed.values())
    return Freed("landing", f"files older than {days} days packed", count, saved)


def _is_packable(folder: Path, file: LandedFile) -> bool:
    if file.is_packed or file.stored is None or Path(file.landed).suffix.lower() in DENSE:
        return False
    # where packing was tried and did not help, the folder remembers by an empty file
    return file.n_bytes > SMALL and not (folder / f".{file.landed}.dense").exists()


def _pack_batch(
    home: Home, manifest: Manifest, old: list[LandedFile], say: Callable[[str], None]
) -> dict[str, int]:
    """Pack a batch's files, then say so in its manifest; gives bytes saved by file."""
    folder, saved = manifest.folder(home.landing), {}
    for file in old:
        try:
            size = pack_file(folder, file)
        except (RunFailed, OSError) as error:  # a damaged file stays as it is, for load to name it
            say(f"tidy: {error}")
            continue
        if size > WORTH_IT * file.n_bytes:
            (folder / (file.landed + PACKED)).unlink()
            (folder / f".{file.landed}.dense").touch()
        else:
            saved[file.landed] = file.n_bytes - size
    if saved:
        files = [
            file.model_copy(update={"is_packed": True}) if file.landed in saved else file
            for file in manifest.files
        ]
        # a load under way reads the files as its manifest named them
        with write_lock(home, "tidy landing", say=say, poll_seconds=0.01):
            settle_files(home.landing, manifest.model_copy(update={"files": files}))
    return saved


# -- what is left over -------------------------------------------------------------------------
def _old_scores(home: Home) -> Iterator[Path]:
    """Score folders but the newest; those that count are in the warehouse."""
    folders = sorted(
        (path for path in home.scores.glob("*") if path.is_dir()),
        key=lambda path: (path.stat().st_mtime, path.name),
    )
    yield from folders[:-KEPT_SCORES]


def _outdated(ctx: Context, say: Callable[[str], None]) -> list[Path]:
    if not any(ctx.home.kept_features.glob("*")):
        return []
    with (
        write_lock(ctx.home, "tidy features", say=say, poll_seconds=0.01),
        connect(ctx.home, **ctx.settings.duckdb) as con,
    ):
        return list(outdated(ctx.home, con))


def _leftovers(home: Home) -> Iterator[Path]:
    """Drafts of killed writers; one that is younger than a day may still be written."""
    places = (
        (home.root, "backup.part"), (home.features, "*.part"), (home.kept_features, "*.part"),
        (home.published, "*.part"),
        (home.state, ".*"), (home.landing, "*/*/*.part"), (home.published / "versions", "*.part"),
    )  # fmt: skip
    for folder, pattern in places:
        yield from (path for path in folder.glob(pattern) if _age(path) > DAY)


def _logs(home: Home, days: int) -> Iterator[Path]:
    """Logs nobody wrote into for long, and the traces of errors once they fill a file."""
    for folder, pattern in (
        (home.state / "logs", "*.log*"), (home.dbt / "logs", "*.log*"), (home.logs, "*.jsonl.*"),
    ):  # fmt: skip
        yield from (path for path in folder.glob(pattern) if _age(path) > days * DAY)
    errors = home.root / "error.log"
    if errors.exists() and (_age(errors) > days * DAY or errors.stat().st_size > LARGEST_ERROR_LOG):
        yield errors


def _cut_logs(home: Home, *, dry_run: bool) -> Freed:
    """Put a server's full log aside, in the place of the one put aside before, and empty it.

    The server writes on: it was started with a log that it appends to.
    """
    count = size = 0
    for path in sorted((home.state / "logs").glob("*.log")):
        full = path.stat().st_size
        if full <= LARGEST_SERVER_LOG:
            continue
        aside = path.with_name(path.name + ".1")
        count, size = count + 1, size + (aside.stat().st_size if aside.exists() else 0)
        if not dry_run:
            shutil.copyfile(path, aside)
            aside.chmod(0o600)
            os.truncate(path, 0)
    return Freed(
        "logs", f"of servers, more than {LARGEST_SERVER_LOG // 10**6} MB, begun anew", count, size
    )


def _age(path: Path) -> float:
    try:
        return time.time() - os.lstat(path).st_mtime
    except OSError:
        return 0.0
