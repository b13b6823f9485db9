"""What is written down of a batch: its place in the ledger, its files, its rejects, its dialect."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from carelake.landing import LandedFile, Manifest
from carelake.source import Source
from carelake.warehouse.arrow_columns import integers, strings
from carelake.warehouse.connection import insert_rows, literal, now_utc
from carelake.warehouse.csv_repair import Dialect
from carelake.warehouse.incoming import Reject
from carelake.warehouse.schema import raw_tables


@dataclass
class BatchResult:
    """What one batch brought: `n_physical = n_raw + n_rejects`.

    Attributes:
        is_released: a person let it in, whatever a gate would say.
    """

    batch_id: str
    source: str
    n_physical: int = 0
    n_raw: int = 0
    n_rejects: int = 0
    held_reason: str | None = None
    is_released: bool = False
    missing: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


@dataclass
class FileResult:
    """What one file of a batch brought; `unreadable` says why nothing of it was read."""

    n_raw: int
    rejects: list[Reject]
    columns: list[str]
    missing: list[str]
    unreadable: str | None = None


def forget_batch(con: duckdb.DuckDBPyConnection, batch_id: str) -> int:
    """Remove the rows that an earlier load of this batch left, and give its place in the ledger."""
    known = con.execute(
        f"select batch_seq from ops.ledger where batch_id = {literal(batch_id)}"
    ).fetchone()
    if known is None:
        last = con.execute("select coalesce(max(batch_seq), 0) from ops.ledger").fetchone()
        return int(last[0]) + 1 if last else 1
    # the mapping may have called its records something else then, so all are gone through
    raw = [f"raw.{table}" for table in raw_tables()]
    for table in (*raw, "ops.structural_rejects", "ops.batch_files"):
        con.execute(f"delete from {table} where batch_id = {literal(batch_id)}")
    return int(known[0])


def record_file(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    manifest: Manifest,
    file: LandedFile,
    loaded: FileResult,
    sequence: int,
) -> None:
    """Note a file's account, and the records of it that have no shape."""
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
            "row_number": integers(r.row_number for r in loaded.rejects),
            "line_number": integers(r.line_number for r in loaded.rejects),
            "reason": strings(r.reason for r in loaded.rejects),
            "raw_text": strings(r.raw_text.replace("\0", "␀") for r in loaded.rejects),
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


def record_batch(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    manifest: Manifest,
    result: BatchResult,
    columns: list[str],
    sequence: int,
    seconds: float,
) -> None:
    """Note a batch, whole, at its place in the ledger."""
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
        "status": _status(result),
        "held_reason": result.held_reason,
        "checked_at": None,
        "n_expired": 0,
        "since": manifest.since,
        "until": manifest.until,
        "n_pages": manifest.details.get("pages"),
        "n_requests": manifest.details.get("requests"),
        "extract_seconds": manifest.details.get("seconds"),
    }
    # a key that is deleted and inserted in one transaction ends the process on a full disk
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name != "batch_id")
    insert_rows(con, "ops.ledger", [row], f"on conflict (batch_id) do update set {changes}")


def _status(result: BatchResult) -> str:
    if result.is_released:
        return "released"
    return "held" if result.held_reason else "arrived"


def new_columns(
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


def stored_dialect(con: duckdb.DuckDBPyConnection, source: Source) -> Dialect | None:
    """The CSV dialect that an earlier load found; none when the source names one."""
    row = con.execute(
        f"select csv_dialect from ops.sources where source_name = {literal(source.name)}"
    ).fetchone()
    if row is None or row[0] is None or source.delimiter:
        return None
    return Dialect(**json.loads(row[0]))


def store_dialect(con: duckdb.DuckDBPyConnection, source: Source, dialect: Dialect | None) -> None:
    """Keep the CSV dialect for the loads to come."""
    if dialect is not None:
        text = json.dumps({"delimiter": dialect.delimiter, "quote": dialect.quote})
        con.execute(
            f"update ops.sources set csv_dialect = {literal(text)} "
            f"where source_name = {literal(source.name)}"
        )
