"""Load: every landed batch that the ledger lacks, in order, one transaction each."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from carelake.errors import RunFailed
from carelake.landing import DamagedManifest, LandedFile, Manifest, manifests
from carelake.progress import Progress
from carelake.settings import Context
from carelake.source_list import Source
from carelake.warehouse.configuration import record_configuration
from carelake.warehouse.connection import (
    connect,
    first_line,
    insert_rows,
    literal,
    now_utc,
    write_lock,
)
from carelake.warehouse.csv_repair import Dialect
from carelake.warehouse.incoming import Incoming, NeedsCare, Reject, UnreadableFile
from carelake.warehouse.mapping import map_file, row_id
from carelake.warehouse.readers import Reader

DATA_FAULTS = (UnreadableFile, duckdb.DataError, duckdb.ProgrammingError)
"""What a file can cause: it must not stop the files and sources after it."""
DAMAGED = "is damaged in the landing zone"
"""Stands in the reason of a batch that is held until its files are put back."""


@dataclass
class BatchResult:
    """What one batch brought: `n_physical = n_raw + n_rejects`."""

    batch_id: str
    source: str
    n_physical: int = 0
    n_raw: int = 0
    n_rejects: int = 0
    held_reason: str | None = None
    missing: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


@dataclass
class _FileResult:
    n_raw: int
    rejects: list[Reject]
    columns: list[str]
    missing: list[str]
    unreadable: str | None = None


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
    con: duckdb.DuckDBPyConnection, ctx: Context, source: Source, manifest: Manifest
) -> BatchResult:
    """Load one batch, whole or not at all: rows, rejects and ledger together.

    A batch the ledger knows already is replaced, which is what a replay is.
    """
    scratch = _scratch(ctx)
    reader = Reader(con, source, scratch, _stored_dialect(con, source))
    began = time.monotonic()
    try:
        # committed temporary tables are read faster than those of an open transaction
        staged = _stage(reader, ctx, manifest)
        while True:
            try:
                con.execute("begin")
                result = _write(con, source, manifest, reader, staged, began)
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
        path = manifest.folder(ctx.home.landing) / file.landed
        try:
            staged.append(_Staged(file, incoming=_read(reader, path)))
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
    ctx.home.scratch.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=ctx.home.scratch))


def _write(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    manifest: Manifest,
    reader: Reader,
    staged: list[_Staged],
    began: float,
) -> BatchResult:
    sequence = _forget(con, source, manifest.batch_id)
    result = BatchResult(manifest.batch_id, source.name)
    columns: dict[str, None] = {}
    for each in staged:
        loaded = _write_file(con, source, manifest, each, sequence)
        _record_file(con, source, manifest, each.file, loaded, sequence)
        result.n_raw += loaded.n_raw
        result.n_rejects += len(loaded.rejects)
        columns |= dict.fromkeys(loaded.columns)
        result.missing += [c for c in loaded.missing if c not in result.missing]
        if loaded.unreadable:
            result.held_reason = f"{each.file.name} {loaded.unreadable}"
    result.n_physical = result.n_raw + result.n_rejects
    result.new = _new_columns(con, source, manifest.batch_id, list(columns))
    _store_dialect(con, source, reader.dialect)
    _record_batch(con, source, manifest, result, list(columns), sequence, time.monotonic() - began)
    return result


def _forget(con: duckdb.DuckDBPyConnection, source: Source, batch_id: str) -> int:
    """Remove the rows that an earlier load of this batch left, and give its place in the ledger."""
    known = con.execute(
        f"select batch_seq from ops.ledger where batch_id = {literal(batch_id)}"
    ).fetchone()
    if known is None:
        last = con.execute("select coalesce(max(batch_seq), 0) from ops.ledger").fetchone()
        return int(last[0]) + 1 if last else 1
    for table in (f"raw.{source.raw_table}", "ops.structural_rejects", "ops.batch_files"):
        con.execute(f"delete from {table} where batch_id = {literal(batch_id)}")
    return int(known[0])


def _write_file(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    manifest: Manifest,
    staged: _Staged,
    sequence: int,
) -> _FileResult:
    if staged.incoming is None:
        reason = staged.unreadable or "cannot be read"
        return _FileResult(0, [Reject(None, None, reason, "")], [], [], unreadable=reason)
    incoming = staged.incoming
    try:
        n_raw, missing = _insert(con, source, manifest, staged.file, incoming, sequence)
    except DATA_FAULTS as fault:
        staged.incoming, staged.unreadable = None, _unreadable(fault)
        raise _BeginAgain from fault
    return _FileResult(n_raw, incoming.rejects, list(incoming.columns), missing)


def _insert(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    manifest: Manifest,
    file: LandedFile,
    incoming: Incoming,
    sequence: int,
) -> tuple[int, list[str]]:
    """Insert a file's records; gives (rows, our columns the file lacks)."""
    if not incoming.columns:
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


def _record_file(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    manifest: Manifest,
    file: LandedFile,
    loaded: _FileResult,
    sequence: int,
) -> None:
    rejected = len(loaded.rejects)
    row = {
        "batch_id": manifest.batch_id,
        "source_name": source.name,
        "file_name": file.name,
        "landed_path": file.landed,
        "sha256": file.sha256,
        "n_bytes": file.n_bytes,
        "n_physical": loaded.n_raw + rejected,
        "n_raw": loaded.n_raw,
        "n_rejected": rejected,
    }
    insert_rows(con, "ops.batch_files", [row])
    if not rejected:
        return
    table = pa.table(
        {
            "row_number": pa.array([r.row_number for r in loaded.rejects], pa.int64()),
            "line_number": pa.array([r.line_number for r in loaded.rejects], pa.int64()),
            "reason": pa.array([r.reason for r in loaded.rejects], pa.string()),
            "raw_text": pa.array(
                [r.raw_text.replace("\0", "␀") for r in loaded.rejects], pa.string()
            ),
        }
    )
    con.register("rejected", table)
    place = ", ".join(map(literal, (source.name, source.raw_table, file.name)))
    con.execute(
        f"""
        insert into ops.structural_rejects
        select {literal(manifest.batch_id)}, {sequence}, {place}, row_number, line_number, reason,
            raw_text
        from rejected
        """
    )
    con.unregister("rejected")


def _record_batch(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    manifest: Manifest,
    result: BatchResult,
    columns: list[str],
    sequence: int,
    seconds: float,
) -> None:
    row = {
        "batch_seq": sequence,
        "batch_id": manifest.batch_id,
        "source_name": source.name,
        "entity": source.raw_table,
        "manifest_path": f"{source.name}/{manifest.batch_id}",
        "extracted_at": manifest.extracted_at,
        "loaded_at": now_utc(),
        "n_files": len(manifest.files),
        "n_bytes": sum(file.n_bytes for file in manifest.files),
        "n_physical": result.n_physical,
        "n_raw": result.n_raw,
        "n_structural_rejects": result.n_rejects,
        "columns": json.dumps(columns),
        "missing_columns": json.dumps(result.missing),
        "new_columns": json.dumps(result.new),
        "seconds": round(seconds, 3),
        "status": "held" if result.held_reason else "arrived",
        "held_reason": result.held_reason,
        "checked_at": None,
    }
    # a key that is deleted and inserted in one transaction ends the process on a full disk
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name != "batch_id")
    insert_rows(con, "ops.ledger", [row], f"on conflict (batch_id) do update set {changes}")


def _new_columns(
    con: duckdb.DuckDBPyConnection, source: Source, batch_id: str, columns: list[str]
) -> list[str]:
    """Columns that neither the mapping nor another batch of the source had."""
    earlier = con.execute(
        "select distinct unnest(columns::varchar[]) from ops.ledger "
        f"where source_name = {literal(source.name)} and batch_id <> {literal(batch_id)}"
    ).fetchall()
    if not earlier:
        return []
    known = {row[0] for row in earlier} | set(source.columns.values())
    return [column for column in columns if column not in known]


def _stored_dialect(con: duckdb.DuckDBPyConnection, source: Source) -> Dialect | None:
    row = con.execute(
        f"select csv_dialect from ops.sources where source_name = {literal(source.name)}"
    ).fetchone()
    if row is None or row[0] is None or source.delimiter:
        return None
    return Dialect(**json.loads(row[0]))


def _store_dialect(con: duckdb.DuckDBPyConnection, source: Source, dialect: Dialect | None) -> None:
    if dialect is not None:
        text = json.dumps({"delimiter": dialect.delimiter, "quote": dialect.quote})
        con.execute(
            f"update ops.sources set csv_dialect = {literal(text)} "
            f"where source_name = {literal(source.name)}"
        )
