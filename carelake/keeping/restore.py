"""Restore: a backup becomes a home, in a place where there is none, proved by its fingerprints."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import duckdb

from carelake.errors import ConfigError, RunFailed
from carelake.keeping import backup_format
from carelake.keeping.backup import recorded_fingerprints
from carelake.keeping.backup_format import BackupManifest, Damaged, Entry, compare, digest_of
from carelake.landing import MANIFEST as BATCH_MANIFEST
from carelake.settings import Home
from carelake.warehouse.build import RECIPE
from carelake.warehouse.connection import read_pepper
from carelake.warehouse.migrations import refuse_newer
from carelake.warehouse.publish import point_to, seal
from carelake.warehouse.published import published_fingerprint
from carelake.warehouse.setup import make_folders, remember_sources

DRAFT = ".restoring"
ADDRESSES = (
    ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"), ("model_versions", "source"),
    ("experiments", "artifact_location"),
)  # fmt: skip
"""Where MLflow keeps absolute addresses of files."""


@dataclass(frozen=True)
class RestoreResult:
    """What was restored, and the source list the home will use.

    `compared` says whether the fingerprints could be held against those of the backup: another
    DuckDB may hash otherwise.
    """

    manifest: BackupManifest
    sources: Path
    compared: bool


def restore(backup: Path, home: Home) -> RestoreResult:
    """Make a home of a backup; every file is checked while it is unpacked.

    Nothing is there until all is: a failure leaves the place as empty as it was.

    Raises:
        ConfigError: the place is not empty, the pepper is not the one, or the backup is too new.
        RunFailed: the backup is damaged, or what came of it has not its fingerprint.
    """
    backup = backup.expanduser().resolve()
    draft = home.root / DRAFT
    _require_empty(home)
    is_new = not home.root.exists()
    draft.mkdir(parents=True, mode=0o700)
    try:
        manifest = _unpack(backup, draft)
        refuse_newer(manifest.schema_version, backup)
        _require_pepper(manifest, draft)
        new = Home(draft)
        if manifest.mlflow_artifacts:
            relocate(new.mlflow_dir / "mlflow.db", manifest.mlflow_artifacts, home.mlflow_artifacts)
        if manifest.version is not None:
            seal(new.published / "versions" / f"{manifest.version:06d}")
            point_to(new, manifest.version)
        compared = manifest.duckdb == duckdb.__version__
        if compared:
            _require_same(backup, manifest, new)
        _forget_build(new.warehouse)
        _move_in(draft, home)
    except BaseException:
        shutil.rmtree(home.root if is_new else draft, ignore_errors=True)
        raise
    return RestoreResult(manifest, _remember(manifest, home), compared)


def _require_empty(home: Home) -> None:
    if not home.root.exists():
        return
    if not home.root.is_dir():
        raise ConfigError(f"{home.root}: is no folder; choose another CARELAKE_HOME")
    if {path.name for path in home.root.iterdir()} == {DRAFT}:  # a restore that was killed
        shutil.rmtree(home.root / DRAFT)
    elif any(home.root.iterdir()):
        raise ConfigError(
            f"{home.root}: is not empty, and nothing in it is replaced; set CARELAKE_HOME to a new "
            "folder, or move this one away"
        )


def _unpack(backup: Path, draft: Path) -> BackupManifest:
    found: dict[str, Entry] = {}
    text = None
    for name, reader in backup_format.read_files(backup):
        if name == backup_format.MANIFEST:
            text = reader.read()
            continue
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise Damaged(f"{backup}: names a file outside of it ({name}); do not use it")
        target = draft / path
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # landed files are read-only, as extract left them
        is_landed = name.startswith("landing/") and path.name != BATCH_MANIFEST
        mode = 0o440 if is_landed else 0o600
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as writer:
            found[name] = digest_of(reader, writer)
    return compare(backup, found, text)


def _require_pepper(manifest: BackupManifest, draft: Path) -> None:
    named = os.environ.get("CARELAKE_PEPPER")
    if not named and not manifest.holds_pepper:
        raise ConfigError(
            "the backup holds no pepper: set CARELAKE_PEPPER to the one its home was made with"
        )
    if not manifest.pepper.fits(read_pepper(Home(draft))):
        raise ConfigError(
            "CARELAKE_PEPPER is not the pepper the backup's home was made with: new keys would "
            "match nothing; set the right one, or unset it to use the backup's"
        )


def relocate(database: Path, old: str, new: Path) -> None:
    """Make MLflow's absolute addresses lead to where its files are now; one transaction."""
    if not database.exists():
        return
    pairs = ((f"file://{old}", f"file://{new}"), (old, str(new)))
    with contextlib.closing(sqlite3.connect(database)) as con, con:
        for table, column in ADDRESSES:
            for before, after in pairs:
                con.execute(
                    f"update {table} set {column} = ? || substr({column}, ?) "
                    f"where {column} = ? or substr({column}, 1, ?) = ?",
                    (after, len(before) + 1, before, len(before) + 1, before + "/"),
                )


def _require_same(backup: Path, manifest: BackupManifest, new: Home) -> None:
    with contextlib.closing(duckdb.connect(str(new.warehouse), read_only=True)) as con:
        found = recorded_fingerprints(con)
    differing = [name for name, said in manifest.recorded.items() if found.get(name) != said]
    if manifest.version is not None:
        marts = published_fingerprint(new)
        differing += [
            f"marts.{name}"
            for name, said in manifest.fingerprint.items()
            if marts.get(name) != said
        ]
    if differing:
        raise RunFailed(
            f"{backup}: {', '.join(differing[:5])} came out otherwise than saved; "
            "nothing was restored, use another backup"
        )


def _forget_build(warehouse: Path) -> None:
    """What dbt built did not travel, so the next run has something to build."""
    with contextlib.closing(duckdb.connect(str(warehouse))) as con:
        con.execute(f"update ops.state set value = '' where key in ('built_marker', '{RECIPE}')")


def _move_in(draft: Path, home: Home) -> None:
    # the warehouse last: with it, the folder is a home
    for path in sorted(draft.iterdir(), key=lambda path: path.name == "warehouse.duckdb"):
        path.rename(home.root / path.name)
    draft.rmdir()
    make_folders(home)


def _remember(manifest: BackupManifest, home: Home) -> Path:
    """The source list: the one named now, the one it was, or the backup's copy of it."""
    named = os.environ.get("CARELAKE_SOURCES")
    before = Path(manifest.sources)
    copy = home.root / "configuration" / before.name
    sources = Path(named).expanduser().resolve() if named else before if before.exists() else copy
    remember_sources(home, sources)
    return sources
