"""A company small enough to work out by hand, and what dbt makes of it."""

from __future__ import annotations

import gc
import itertools
import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pytest
import yaml

from carelake.needs.taxonomy import load_taxonomy
from carelake.warehouse.configuration import record_needs
from carelake.warehouse.schema import create_recorded_tables

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
PEPPER = "a pepper for tests"
Row = dict[str, Any]
_clock = itertools.count()


@dataclass
class Batch:
    """What one extract of one source brought."""

    source: str
    table: str
    extracted_at: str
    rows: list[Row]
    file: str = "file.csv"
    status: str = "loaded"
    batch_id: str = field(default="")

    def __post_init__(self) -> None:
        """A batch id as load would make it: from source and time."""
        self.batch_id = self.batch_id or f"{self.source}-{self.extracted_at}"


SOURCES: list[Row] = [
    {"source_name": "crm_contacts", "entity": "customers", "mode": "snapshot", "dedupe": "key"},
    {"source_name": "crm_cases", "entity": "conversations", "mode": "append", "dedupe": "key"},
    {"source_name": "calls", "entity": "communications", "channel": "phone", "dedupe": "key"},
    {"source_name": "chats", "entity": "communications", "channel": "chat", "dedupe": "key"},
    {"source_name": "social", "entity": "communications", "channel": "social", "dedupe": "key"},
    {"source_name": "notes", "entity": "communications", "dedupe": "none", "has_id": False},
    {"source_name": "inbox", "entity": "communications", "channel": "email", "dedupe": "key"},
    {"source_name": "surveys", "entity": "survey_responses", "dedupe": "key"},
    {"source_name": "shop", "entity": "orders", "dedupe": "key"},
    {"source_name": "tills", "entity": "order_lines", "dedupe": "key"},
    {"source_name": "staff", "entity": "agents", "mode": "snapshot", "dedupe": "key"},
    {"source_name": "tasks", "entity": "follow_ups", "dedupe": "key"},
    {"source_name": "clicks", "entity": "events", "dedupe": "key"},
]

SETTINGS = {
    "reporting_timezone": "Asia/Shanghai",
    "default_region": "CN",
    "index_window_days": "90",
    "value_floor": "0.1",
    "cv_basis": "monetary",
    "unanswered_days": "3",
    "reply_within_minutes.chat": "3",
    "reply_within_minutes.phone": "1440",
    "reply_within_minutes.email": "1440",
    "reply_within_minutes.social": "240",
}
OWN = [("domain", "shop.example"), ("phone", "+862155500100"), ("handle", "shop_care")]


def company() -> list[Batch]:
    """Every batch of the hand-made company, as `company.yml` writes it down."""
    text = Path(__file__).with_name("company.yml").read_text(encoding="utf-8")
    return [Batch(**batch) for batch in yaml.safe_load(text)]


def write_warehouse(path: Path, batches: list[Batch]) -> None:
    """Make a warehouse file as `load` leaves it, batches in the order given."""
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as con:
        con.execute("set TimeZone = 'UTC'")
        create_recorded_tables(con)
        for position, source in enumerate(SOURCES):
            row = {"mode": "append", "kind": "files", "has_id": True, "timezone": "UTC", **source}
            _insert(con, "ops.sources", {**row, "position": position})
        for key, value in SETTINGS.items():
            _insert(con, "ops.settings", {"key": key, "value": value})
        record_needs(con, load_taxonomy(path.parent))
        for kind, value in OWN:
            _insert(con, "ops.own_identities", {"kind": kind, "value": value})
        for sequence, batch in enumerate(batches, start=1):
            _write_batch(con, batch, sequence)


def _write_batch(con: duckdb.DuckDBPyConnection, batch: Batch, sequence: int) -> None:
    count = len(batch.rows)
    _insert(con, "ops.ledger", {
        "batch_seq": sequence, "batch_id": batch.batch_id, "source_name": batch.source,
        "entity": batch.table, "extracted_at": batch.extracted_at, "n_physical": count,
        "n_raw": count, "n_structural_rejects": 0, "status": batch.status,
        "loaded_at": f"2024-08-01 00:00:{next(_clock) % 60:02d}+00",
    })  # fmt: skip
    _write_rows(con, batch, sequence)


def _write_rows(con: duckdb.DuckDBPyConnection, batch: Batch, sequence: int) -> None:
    for number, row in enumerate(batch.rows, start=1):
        _insert(con, f"raw.{batch.table}", {
            **row, "source_name": batch.source, "batch_id": batch.batch_id, "batch_seq": sequence,
            "extracted_at": batch.extracted_at, "file_name": batch.file, "row_number": number,
            "extra": json.dumps({}),
        })  # fmt: skip


def load_batch(con: duckdb.DuckDBPyConnection, batch: Batch, *, again: bool = False) -> None:
    """Add a batch after the others, or, `again`, put other rows in its place as a replay does."""
    if not again:
        last = con.execute("select max(batch_seq) from ops.ledger").fetchone()
        _write_batch(con, batch, int(last[0]) + 1 if last else 1)
        return
    known = con.execute(
        "select batch_seq, source_name, extracted_at::varchar from ops.ledger where batch_id = ?",
        [batch.batch_id],
    ).fetchone()
    assert known is not None
    batch.source, batch.extracted_at = known[1], known[2]
    con.execute(f"delete from raw.{batch.table} where batch_id = ?", [batch.batch_id])
    _write_rows(con, batch, known[0])
    con.execute(
        "update ops.ledger set n_raw = ?, n_physical = ?, loaded_at = loaded_at + interval 1 hour "
        "where batch_id = ?",
        [len(batch.rows), len(batch.rows), batch.batch_id],
    )


def _insert(con: duckdb.DuckDBPyConnection, table: str, row: Row) -> None:
    names, marks = ", ".join(row), ", ".join("?" for _ in row)
    con.execute(f"insert into {table} ({names}) values ({marks})", list(row.values()))


class Dbt:
    """dbt in this process, on a warehouse file of the test's own."""

    def __init__(self, folder: Path) -> None:
        """Keep warehouse, target and logs under one folder."""
        self.warehouse = folder / "warehouse.duckdb"
        self.target = folder / "target"
        self.logs = folder / "logs"
        self.environment = {
            "CARELAKE_WAREHOUSE": str(self.warehouse),
            "CARELAKE_PEPPER": PEPPER,
            "CARELAKE_THREADS": "2",
            "DBT_TARGET_PATH": str(self.target),
            "DBT_LOG_PATH": str(self.logs),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DO_NOT_TRACK": "1",
        }

    def __call__(self, *arguments: str) -> dict[str, str]:
        """Run one dbt command; gives node name -> status, and fails on a failed node."""
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        place = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        quiet = ["--quiet", "--log-level", "none", "--log-level-file", "info"]
        try:
            with patch.dict(os.environ, self.environment):
                outcome = dbtRunner().invoke([*quiet, *arguments, *place])
        finally:
            # dbt keeps its connection for the life of the process; the queries need the file
            DuckDBConnectionManager.close_all_connections()
            gc.collect()
        if outcome.exception:
            raise outcome.exception
        results = {result.node.name: str(result.status) for result in outcome.result}
        failed = [
            f"{result.node.name}: {result.message}"
            for result in outcome.result
            if str(result.status) not in ("success", "pass", "no-op")
        ]
        assert outcome.success and not failed, "\n".join(failed)
        return results

    def query(self, sql: str) -> list[Any]:
        """Rows of a query on what was built; a single column comes as plain values."""
        with duckdb.connect(str(self.warehouse), read_only=True) as con:
            con.execute("set TimeZone = 'UTC'")
            rows = con.execute(sql).fetchall()
        return [row[0] for row in rows] if rows and len(rows[0]) == 1 else rows

    def remembering(self) -> list[str]:
        """The files of the models that keep what they made, from dbt's own manifest."""
        manifest = json.loads((self.target / "manifest.json").read_text(encoding="utf-8"))
        return [
            node["original_file_path"]
            for node in manifest["nodes"].values()
            if node["config"].get("materialized") == "incremental"
        ]

    def fingerprint(self, *schemas: str) -> dict[str, tuple[int, int]]:
        """Per table of these schemas (the marts), row count and sum of row hashes."""
        wanted = ", ".join(f"'{schema}'" for schema in schemas or ("marts",))
        tables = self.query(
            "select table_schema || '.' || table_name as name from information_schema.tables "
            f"where table_schema in ({wanted}) order by name"
        )
        sums = [f"select '{t}', count(*), sum(hash(t)::hugeint) from {t} as t" for t in tables]
        rows = self.query(" union all ".join(sums))
        return {name: (count, total) for name, count, total in rows}


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """dbt on the hand-made company, every layer built and tested."""
    runner = Dbt(tmp_path_factory.mktemp("dbt"))
    write_warehouse(runner.warehouse, company())
    runner("build", "--exclude-resource-type", "unit_test")
    return runner


@pytest.fixture
def rows(dbt: Dbt) -> Callable[[str], list[Any]]:
    """Ask the built hand-made company."""
    return dbt.query


@pytest.fixture(scope="session")
def rebuilt_fingerprints(dbt: Dbt) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fingerprints of the first build, and of one with the batches loaded in another order."""
    first = dbt.fingerprint()
    kept = dbt.warehouse.read_bytes()
    batches = company()
    random.Random(7).shuffle(batches)
    write_warehouse(dbt.warehouse, batches)
    dbt("build", "--exclude-resource-type", "unit_test", "test")
    second = dbt.fingerprint()
    dbt.warehouse.write_bytes(kept)
    return first, second
