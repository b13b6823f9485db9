"""Backup: what a home records, as it was at one moment, while runs go on.

The warehouse's lock is held for as long as it takes to copy the recorded tables, two SQLite files
and to name the rest. The rest does not change: landed files and the artifacts of models are written
once, and the published version is held by links.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import duckdb

import carelake
from carelake.errors import ConfigError, RunFailed
from carelake.keeping import backup_format
from carelake.keeping.backup_format import BackupManifest, Entry, PepperCheck, digest_of
from carelake.keeping.lock import keeping_lock
from carelake.landing import MANIFEST as BATCH_MANIFEST
from carelake.landing import DamagedManifest, manifests, sync_folder
from carelake.progress import Progress
from carelake.settings import Context, Home
from carelake.trouble import FULL
from carelake.warehouse.connection import (
    connect,
    create_file,
    ident,
    literal,
    now_utc,
    read_pepper,
    write_lock,
)
from carelake.warehouse.fingerprint import relation_fingerprint
from carelake.warehouse.migrations import schema_version
from carelake.warehouse.publish import HOLD, current_version, publication
from carelake.warehouse.schema import create_recorded_tables

RECORDED = ("raw", "ops", "ml", "care")
SECRETS = ("state/secrets.json", "state/airflow_passwords.json")
UNCHANGING = ("landing/", "ml/kept/")
"""Parts that a backup may share with an earlier one by links."""
CONFIGURATION = ("carelake.yml", "followup.yml", "needs.yml")


@dataclass(frozen=True)
class BackupResult:
    """A finished backup: where it is, what it holds, and for how long it stopped writers."""

    path: Path
    manifest: BackupManifest
    n_bytes: int
    locked_seconds: float

    def contents(self) -> dict[str, tuple[int, int]]:
        """Files and bytes by the first part of their names."""
        found: dict[str, tuple[int, int]] = {}
        for name, entry in self.manifest.files.items():
            kind = name.partition("/")[0]
            files, size = found.get(kind, (0, 0))
            found[kind] = (files + 1, size + entry.n_bytes)
        return found


def backup(
    ctx: Context,
    target: Path,
    *,
    with_secrets: bool = True,
    base: Path | None = None,
    progress: Progress | None = None,
) -> BackupResult:
    """Write a backup: a folder, or one file when the name ends in `.tar.zst`.

    It appears under its name when it is whole; a failure leaves nothing.

    Args:
        with_secrets: whether the pepper and the servers' keys and passwords go in.
        base: an earlier backup, a folder on the same disk: landed files that it has are linked.

    Raises:
        ConfigError: the target is there already, or lies inside the home.
        RunFailed: the disk is full, or a writer kept the lock.
    """
    progress = progress or Progress(quiet=True)
    target = target.expanduser().resolve()
    _require_free(ctx.home, target, base)
    draft = target.with_name(target.name + ".part")
    places = (draft, ctx.home.root / "backup.part", draft.with_name(draft.name + ".file"))
    full = ""
    with keeping_lock(ctx.home, "backup"):
        try:
            return _write_backup(ctx, target, places, progress, with_secrets, base)
        except (OSError, duckdb.Error, sqlite3.Error) as error:
            full = next((text for text in FULL if text in str(error)), "")
            if not full:
                raise
        finally:
            for left in places:
                _remove(left)
    # outside of the handler: this is about the backup's disk, not about the home's
    raise RunFailed(f"{target}: the disk there is full; nothing is left of it, make room for it")


def _write_backup(
    ctx: Context,
    target: Path,
    places: tuple[Path, Path, Path],
    progress: Progress,
    with_secrets: bool,
    base: Path | None,
) -> BackupResult:
    draft, links, packed = places
    for left in places:  # by a backup that was killed
        _remove(left)
    draft.mkdir(mode=0o700)
    with write_lock(ctx.home, "backup", say=progress.say, poll_seconds=0.01):
        began = now_utc()
        parts, manifest = _snapshot(ctx, draft, links, with_secrets=with_secrets)
        locked = (now_utc() - began).total_seconds()
    progress.update("backup: copying what does not change")
    manifest.recorded = _recorded_fingerprints(draft / "warehouse.duckdb")
    manifest.damaged = _damaged_landing(ctx.home.landing)

    def finish(entries: dict[str, Entry]) -> BackupManifest:
        manifest.files = dict(sorted(entries.items()))
        return manifest

    if backup_format.is_packed(target):
        backup_format.pack(parts, packed, finish)
        packed.rename(target)
        size = target.stat().st_size
    else:
        finish(_fill(draft, parts, base))
        _write(draft / backup_format.MANIFEST, manifest.sealed())
        draft.rename(target)
        size = sum(entry.n_bytes for entry in manifest.files.values())
    sync_folder(target.parent)
    return BackupResult(target, manifest, size, locked)


def _require_free(home: Home, target: Path, base: Path | None) -> None:
    if target.exists():
        raise ConfigError(f"{target}: is there already; give a new name, such as one with the date")
    if target.is_relative_to(home.root):
        raise ConfigError(f"{target}: lies in the home it would save; choose another disk")
    if not target.parent.is_dir():
        raise ConfigError(f"{target.parent}: no such folder; make it first")
    if base is not None and not (base / backup_format.MANIFEST).exists():
        raise ConfigError(f"{base}: is no backup folder; --base takes one, not a .tar.zst")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


# -- under the lock ----------------------------------------------------------------------------
def _snapshot(
    ctx: Context, draft: Path, links: Path, *, with_secrets: bool
) -> tuple[dict[str, Path], BackupManifest]:
    """Copy what changes into the draft; gives every file's name in the backup, and where it lies."""
    home = ctx.home
    version = copy_recorded(home, draft / "warehouse.duckdb")
    (draft / "warehouse.duckdb").chmod(0o600)
    _copy_tree(home.decisions, draft / "ml" / "decisions", "*.json")
    if home.owns_mlflow:
        _copy_sqlite(home.mlflow_dir / "mlflow.db", draft / "mlflow" / "mlflow.db")
    _copy_sqlite(home.airflow / "airflow.db", draft / "airflow" / "airflow.db")
    _copy_tree(home.state / "extracts", draft / "state" / "extracts", "*.json")
    _copy_configuration(ctx, draft / "configuration")
    holds_pepper = with_secrets and home.pepper_file.exists()
    kept = ["pepper"] if holds_pepper else []
    kept += [name for name in SECRETS if with_secrets]
    if with_secrets:
        kept += [str(p.relative_to(home.root)) for p in home.renewed_secrets.glob("*.json")]
    for name in kept:
        if (home.root / name).exists():
            _write(draft / name, (home.root / name).read_bytes())
    parts = {str(p.relative_to(draft)): p for p in draft.rglob("*") if p.is_file()}
    parts |= _link_published(home, links)
    parts |= {
        f"landing/{path.relative_to(home.landing)}": path
        for manifest in home.landing.glob(f"*/*/{BATCH_MANIFEST}")
        for path in manifest.parent.iterdir()
        if not path.name.startswith(".") and path.suffix != ".part"
    }
    parts |= {
        f"ml/kept/{path.relative_to(home.kept_features)}": path
        for path in home.kept_features.glob("*/*.parquet")
        if path.parent.suffix != ".part"
    }
    if home.owns_mlflow:
        artifacts = home.mlflow_artifacts
        parts |= {
            f"mlflow/artifacts/{path.relative_to(artifacts)}": path
            for path in artifacts.rglob("*")
            if path.is_file()
        }
    current = current_version(home)
    said = {} if current is None else publication(home, current)
    return parts, BackupManifest(
        carelake=carelake.__version__,
        schema_version=version,
        duckdb=duckdb.__version__,
        made_at=now_utc(),
        home=str(home.root),
        sources=str(ctx.sources.path),
        version=current,
        as_of=said.get("as_of"),
        fingerprint=said.get("fingerprint", {}),
        recorded={},
        mlflow_artifacts=str(home.mlflow_artifacts) if home.owns_mlflow else None,
        pepper=PepperCheck.of(read_pepper(home)),
        holds_pepper=holds_pepper,
        holds_secrets=with_secrets,
        files={},
    )


def copy_recorded(home: Home, target: Path) -> int:
    """Copy every recorded table into a new file; gives the schema's number.

    What dbt built does not travel: the next run makes it again.
    """
    create_file(target)
    with contextlib.closing(duckdb.connect(str(target))) as new:
        new.execute("begin")  # one sync of the disk instead of one per table
        create_recorded_tables(new)
        new.execute("commit")
    with connect(home) as con:
        con.execute(f"attach {literal(str(target))} as kept")
        schemas = ", ".join(map(literal, RECORDED))
        tables = con.execute(
            "select schema_name, table_name, database_name = 'kept' from duckdb_tables() "
            f"where schema_name in ({schemas}) and not temporary order by all"
        ).fetchall()
        con.execute("begin")
        known = {(schema, name) for schema, name, is_kept in tables if is_kept}
        for schema, name, is_kept in tables:
            table = f"{ident(schema)}.{ident(name)}"
            if is_kept:
                continue
            if (schema, name) in known:
                con.execute(f"insert into kept.{table} by name from warehouse.{table}")
            else:  # a company's own
                con.execute(f"create table kept.{table} as from warehouse.{table}")
        con.execute("commit")
        con.execute("detach kept")
        return schema_version(con) or 0


def _copy_sqlite(source: Path, target: Path) -> None:
    """SQLite's online backup: one consistent state, whoever writes meanwhile."""
    if not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    target.touch(mode=0o600)
    with (
        contextlib.closing(
            sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=60)
        ) as old,
        contextlib.closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)
        new.execute("pragma journal_mode = delete")


def _copy_tree(source: Path, target: Path, pattern: str) -> None:
    for path in sorted(source.glob(pattern)):
        if path.is_file():
            _write(target / path.relative_to(source), path.read_bytes())


def _copy_configuration(ctx: Context, target: Path) -> None:
    folder = ctx.config_dir
    _write(target / ctx.sources.path.name, ctx.sources.path.read_bytes())
    for name in CONFIGURATION:
        if (folder / name).is_file():
            _write(target / name, (folder / name).read_bytes())
    _copy_tree(folder / "custom", target / "custom", "**/*")


def _link_published(home: Home, links: Path) -> dict[str, Path]:
    """Hold the current version by links, so that it outlives its removal while it is copied."""
    parts = {}
    current = current_version(home)
    if current is not None:
        name = f"published/versions/{current:06d}"
        shutil.copytree(home.root / name, links / name, copy_function=_link)
        parts = {str(p.relative_to(links)): p for p in links.rglob("*") if p.is_file()}
    if (home.published / HOLD).exists():
        parts[f"published/{HOLD}"] = home.published / HOLD
    return parts


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


# -- after it ----------------------------------------------------------------------------------
def _recorded_fingerprints(path: Path) -> dict[str, dict[str, object]]:
    with contextlib.closing(duckdb.connect(str(path), read_only=True)) as con:
        return recorded_fingerprints(con)


def recorded_fingerprints(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, object]]:
    """Fingerprint of every recorded table of the database a connection was opened with."""
    con.execute("set TimeZone = 'UTC'")
    tables = con.execute(
        "select schema_name, table_name from duckdb_tables() where not temporary and "
        f"database_name = current_database() and list_contains({list(RECORDED)}, schema_name) "
        "order by all"
    ).fetchall()
    return {
        f"{schema}.{name}": relation_fingerprint(con, f"{ident(schema)}.{ident(name)}")
        for schema, name in tables
    }


def _damaged_landing(landing: Path) -> list[str]:
    """What is not as it was extracted: it goes in as it is, and is named."""
    found: list[str] = []
    for source in sorted(path.name for path in landing.iterdir() if path.is_dir()):
        try:
            for batch in manifests(landing, source):
                found += batch.damage(landing).values()
        except DamagedManifest as error:
            found.append(str(error))
    return found


def _fill(draft: Path, parts: dict[str, Path], base: Path | None) -> dict[str, Entry]:
    """Bring every file into the draft; gives their digests."""
    earlier = {} if base is None else _entries(base)
    entries: dict[str, Entry] = {}
    for name, source in sorted(parts.items()):
        target = draft / name
        if source == target:
            with source.open("rb") as reader:
                entries[name] = digest_of(reader)
            continue
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with source.open("rb") as reader:
            if name in earlier and base is not None and name.startswith(UNCHANGING):
                entries[name] = digest_of(reader)
                if entries[name] == earlier[name]:
                    _link(str(base / name), str(target))
                    continue
                reader.seek(0)
            handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as writer:
                entries[name] = digest_of(reader, writer)
                writer.flush()
                os.fsync(writer.fileno())
    return entries


def _entries(base: Path) -> dict[str, Entry]:
    text = (base / backup_format.MANIFEST).read_bytes()
    return BackupManifest.opened(text, base).files
