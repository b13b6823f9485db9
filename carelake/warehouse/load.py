"""Load: every landed batch that the ledger lacks, in order, one transaction each."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from carelake.errors import RunFailed
from carelake.landing import DamagedManifest, LandedFile, Manifest, manifests, unpack
from carelake.progress import Progress
from carelake.settings import Context
from carelake.source import Source
from carelake.warehouse.configuration import record_configuration
from carelake.warehouse.connection import (
    connect,
    first_line,
    literal,
    write_lock,
)
from carelake.warehouse.incoming import Incoming, NeedsCare, Reject, UnreadableFile
from carelake.warehouse.ledger import (
    BatchResult,
    FileResult,
    forget_batch,
    new_columns,
    record_batch,
    record_file,
    store_dialect,
    stored_dialect,
)
from carelake.warehouse.mapping import map_file, row_id
from carelake.warehouse.readers import Reader
from carelake.warehouse.shaping import shape_file

DATA_FAULTS = (UnreadableFile, duckdb.DataError, duckdb.ProgrammingError)
"""What a file can cause: it must not stop the files and sources after it."""
DAMAGED = "is damaged in the landing zone"
"""Stands in the reason of a batch that is held until its files are put back."""


@dataclass
class _Staged:
    """A landed file, read into temporary tables, or the reason why it cannot be."""

    file: LandedFile
    incoming: Incoming | None = None
    unreadable: str | None = None


class _BeginAgain(Exception):
    """A file showed a fault while it was written, which spoils the transaction."""


def load(
    ctx: Context, sources: list[str] | None = None, progress: Progress | None = None
) -> list[BatchResult]:
    """Load what the ledger lacks, and what was held for damaged files that are whole again.

    A source with a damaged manifest is left out: what it landed after that one must not overtake it.

    Args:
        sources: names to restrict to; all without.

    Returns:
        One result per batch, in load order; empty when there was nothing new.

    Raises:
        RunFailed: the warehouse cannot be written.
    """
    progress = progress or Progress(quiet=True)
    wanted = {source.name: source for source in ctx.sources.select(sources)}
    with (
        write_lock(ctx.home, "load", say=progress.say),
        connect(ctx.home, **ctx.settings.duckdb) as con,
    ):
        # one writer: what lies there was left by a load that was killed
        shutil.rmtree(ctx.home.scratch, ignore_errors=True)
        record_configuration(con, ctx)
        pending = _pending(con, ctx.home.landing, sorted(wanted), progress)
        results = []
        for i, manifest in enumerate(pending):
            progress.bar(f"load {manifest.source}", i, len(pending))
            results.append(load_batch(con, ctx, wanted[manifest.source], manifest))
        return results


def _pending(
    con: duckdb.DuckDBPyConnection, landing: Path, sources: list[str], progress: Progress
) -> list[Manifest]:
    """What is to be loaded, in order."""
    rows = con.execute(
        "select batch_id, epoch_us(extracted_at), coalesce(status = 'held' and "
        f"contains(held_reason, {literal(DAMAGED)}), false) from ops.ledger"
    ).fetchall()
    # an extract that lost its newest manifest lands that batch anew, with another time
    known = {(batch, moment) for batch, moment, _ in rows}
    damaged = {batch for batch, _, is_damaged in rows if is_damaged}
    pending = []
    for name in sources:
        try:
            landed = manifests(landing, name)
        except DamagedManifest as error:
            progress.say(f"{name}: {error}")
            continue
        pending += [
            m
            for m in landed
            if (m.batch_id, _microseconds(m.extracted_at)) not in known
            or (m.batch_id in damaged and not m.damage(landing))
        ]
    return sorted(pending, key=lambda m: (m.extracted_at, m.batch_id))


def _microseconds(moment: dt.datetime) -> int:
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def load_batch(
    con: duckdb.DuckDBPyConnection,
    ctx: Context,
    source: Source,
    manifest: Manifest,
    *,
    is_released: bool = False,
) -> BatchResult:
    """Load one batch, whole or not at all: rows, rejects and ledger together.

    A batch the ledger knows already is replaced, which is what a replay is.

    Args:
        is_released: a person let it in before, and no gate is asked again.
    """
    scratch = _scratch(ctx)
    landed_at = manifest.extracted_at.isoformat()
    reader = Reader(con, source, scratch, stored_dialect(con, source), landed_at)
    began = time.monotonic()
    try:
        # committed temporary tables are read faster than those of an open transaction
        staged = _stage(reader, ctx, manifest)
        while True:
            try:
                con.execute("begin")
                result = BatchResult(manifest.batch_id, source.name, is_released=is_released)
                _write(con, source, manifest, reader, staged, began, result)
                con.execute("commit")
                return result
            except _BeginAgain:
                con.execute("rollback")
    except duckdb.Error as error:
        _roll_back(con)
        raise RunFailed(f"{manifest.batch_id}: cannot be loaded ({first_line(error)})") from error
    except BaseException:
        _roll_back(con)
        raise
    finally:
        with contextlib.suppress(duckdb.Error):
            reader.forget()
        shutil.rmtree(scratch, ignore_errors=True)


def _stage(reader: Reader, ctx: Context, manifest: Manifest) -> list[_Staged]:
    """Read every file of a batch; a damaged or unreadable one says why, and the others are read."""
    damage = manifest.damage(ctx.home.landing)
    again = f"`carelake quarantine replay {manifest.batch_id}`"
    mend = f"put it back from a backup and run again, or take it as it is with {again}"
    staged = []
    for file in manifest.files:
        if file.landed in damage:
            reason = f"{DAMAGED}: {damage[file.landed]}; {mend}"
            staged.append(_Staged(file, unreadable=reason))
            continue
        if file.stored is None:  # retention removed its bytes
            staged.append(_Staged(file))
            continue
        path = manifest.folder(ctx.home.landing) / file.stored
        if file.is_packed:
            (reader.scratch / "unpacked").mkdir(exist_ok=True)
            path = unpack(path, reader.scratch / "unpacked" / file.landed)
        try:
            incoming = shape_file(reader.con, reader.source, _read(reader, path), file.name)
            staged.append(_Staged(file, incoming=incoming))
        except DATA_FAULTS as fault:
            staged.append(_Staged(file, unreadable=_unreadable(fault)))
    return staged


def _read(reader: Reader, path: Path) -> Incoming:
    try:
        return reader.read(path)
    except NeedsCare:
        return reader.read(path, careful=True)


def _unreadable(fault: Exception) -> str:
    said = first_line(fault)
    return said if "read" in said else f"cannot be read: {said}"


def _roll_back(con: duckdb.DuckDBPyConnection) -> None:
    """Undo; what broke the transaction may have broken the connection too."""
    with contextlib.suppress(duckdb.Error):
        con.execute("rollback")


def _scratch(ctx: Context) -> Path:
    ctx.home.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=ctx.home.scratch))


def _write(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    manifest: Manifest,
    reader: Reader,
    staged: list[_Staged],
    began: float,
    result: BatchResult,
) -> None:
    sequence = forget_batch(con, manifest.batch_id)
    columns: dict[str, None] = {}
    for each in staged:
        loaded = _write_file(con, source, manifest, each, sequence)
        record_file(con, source, manifest, each.file, loaded, sequence)
        result.n_raw += loaded.n_raw
        result.n_rejects += len(loaded.rejects)
        columns |= dict.fromkeys(loaded.columns)
        result.missing += [c for c in loaded.missing if c not in result.missing]
        if loaded.unreadable:
            result.held_reason = f"{each.file.name} {loaded.unreadable}"
    result.n_physical = result.n_raw + result.n_rejects
    result.new = new_columns(con, source, manifest.batch_id, list(columns))
    store_dialect(con, source, reader.dialect)
    record_batch(con, source, manifest, result, list(columns), sequence, time.monotonic() - began)


def _write_file(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    manifest: Manifest,
    staged: _Staged,
    sequence: int,
) -> FileResult:
    if staged.file.stored is None:
        return FileResult(0, [], [], [])
    if staged.incoming is None:
        reason = staged.unreadable or "cannot be read"
        return FileResult(0, [Reject(None, None, reason, "")], [], [], unreadable=reason)
    incoming = staged.incoming
    try:
        n_raw, missing = _insert(con, source, manifest, staged.file, incoming, sequence)
    except DATA_FAULTS as fault:
        staged.incoming, staged.unreadable = None, _unreadable(fault)
        raise _BeginAgain from fault
    return FileResult(n_raw, incoming.rejects, incoming.names, missing)


def _any_row(con: duckdb.DuckDBPyConnection, incoming: Incoming) -> bool:
    """Whether there are records: of a file of nothing but `{}` they have no column."""
    found = con.execute(f"select exists(from {incoming.relation})").fetchone()
    return bool(found and found[0])


def _insert(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    manifest: Manifest,
    file: LandedFile,
    incoming: Incoming,
    sequence: int,
) -> tuple[int, list[str]]:
    """Insert a file's records; gives (rows, our columns the file lacks)."""
    if not incoming.columns and not _any_row(con, incoming):
        return 0, []
    mapped = map_file(source, incoming)
    columns, relation = dict(mapped.columns), incoming.relation
    if not source.has_id:
        relation, columns[source.id_column] = row_id(source, incoming, file.name)
    names = [
        *columns,
        "attributes",
        "extra",
        "source_name",
        "batch_id",
        "batch_seq",
        "extracted_at",
    ]
    names += ["file_name", "row_number"]
    batch = f"{literal(source.name)}, {literal(manifest.batch_id)}, {sequence}"
    moment = f"{literal(manifest.extracted_at.isoformat())}::timestamptz"
    statement = f"""
        insert into raw.{source.raw_table} ({", ".join(names)})
        select {", ".join(columns.values())}, {mapped.attributes}, {mapped.extra},
            {batch}, {moment}, {literal(file.name)}, {incoming.row_number}
        from {relation}
    """
    row = con.execute(statement).fetchone()
    return int(row[0]) if row else 0, mapped.missing
