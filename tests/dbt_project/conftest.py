"""A company small enough to work out by hand, and what dbt makes of it."""

from __future__ import annotations

import gc
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from carelake.warehouse.schema import create_recorded_tables

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
PEPPER = "a pepper for tests"
Row = dict[str, Any]


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
    {"source_name": "inbox", "entity": "communications", "channel": "email", "kind": "mbox", "dedupe": "key"},
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


def at(day: int, clock: str = "09:00", month: int = 5) -> str:
    """A time of 2024 as load writes it."""
    return f"2024-{month:02}-{day:02}T{clock}:00.000000Z"


DAY_ONE, DAY_TWO = "2024-06-01T00:00:00Z", "2024-06-02T00:00:00Z"


def company() -> list[Batch]:
    """Every batch of the hand-made company; tests name what they expect of each row."""
    return [
        Batch("staff", "agents", DAY_ONE, [
            {"agent_id": "a1", "agent_name": "Li Na", "email": "lina@shop.example", "phone": "801", "team": "north"},
            {"agent_id": "a2", "agent_name": "Tom Ash", "email": "tom@shop.example", "phone": "802", "team": "south"},
        ]),
        # the first contact list: c9 is gone from the second, c1 is said again, c2 has moved
        Batch("crm_contacts", "customers", DAY_ONE, [
            {"customer_id": "c1", "customer_name": "Anna Kern", "email": "Anna@Example.org", "phone": "138 0013 8000",
             "handle": "@Anna_K", "age": "34", "gender": "女", "created_at": at(1)},
            {"customer_id": "c2", "customer_name": "王伟", "phone": "+86 139 0013 9000", "city": "北京",
             "age": "51", "gender": "先生", "created_at": at(1)},
            {"customer_id": "c9", "customer_name": "Gone Away", "email": "gone@example.org", "created_at": at(1)},
        ], file="contacts.json"),
        Batch("crm_contacts", "customers", DAY_TWO, [
            {"customer_id": "c1", "customer_name": "Anna Kern", "email": "Anna@Example.org", "phone": "138 0013 8000",
             "handle": "@Anna_K", "age": "34", "gender": "女", "created_at": at(1)},
            {"customer_id": "c2", "customer_name": "王伟", "phone": "+86 139 0013 9000", "city": "上海",
             "age": "51", "gender": "先生", "created_at": at(1), "agent": "Tom Ash", "do_not_contact": "是"},
            # two people behind one switchboard
            {"customer_id": "c3", "customer_name": "Carl Ott", "phone": "+49 30 901820", "email": "carl@office.example",
             "created_at": at(2)},
            {"customer_id": "c4", "customer_name": "Dora Ott", "phone": "+49 30 901820", "created_at": at(2)},
            {"customer_id": "c5", "customer_name": "Too Old", "age": "212", "created_at": at(2)},
            {"customer_id": None, "customer_name": "No Id"},
        ], file="contacts.json"),
        Batch("calls", "communications", DAY_ONE, [
            {"communication_id": "k1", "direction": "呼入", "from_address": "13800138000", "agent": "801",
             "sent_at": at(10), "duration_seconds": "120", "status": "answered"},
            {"communication_id": "k2", "direction": "in", "from_address": "+49 30 901820", "agent": "801",
             "sent_at": at(11), "duration_seconds": "60", "status": "answered"},
            {"communication_id": "k3", "from_address": "802", "to_address": "13900139000", "agent": "802",
             "sent_at": at(12), "duration_seconds": "30"},
            {"communication_id": "k4", "direction": "in", "from_address": "13900139000", "sent_at": at(13),
             "duration_seconds": "0", "status": "missed"},
            {"communication_id": "k5", "direction": "sideways", "sent_at": at(13)},
            {"communication_id": "k6", "channel": "fax", "sent_at": "31/02/2024"},
            {"communication_id": "k7", "direction": "in", "duration_seconds": "-4", "sent_at": at(13)},
            {"communication_id": "k8"},
        ]),
        # the same file again: k1 unchanged, k4 called back since
        Batch("calls", "communications", DAY_TWO, [
            {"communication_id": "k1", "direction": "呼入", "from_address": "13800138000", "agent": "801",
             "sent_at": at(10), "duration_seconds": "120", "status": "answered"},
            {"communication_id": "k4", "direction": "in", "from_address": "13900139000", "sent_at": at(13),
             "duration_seconds": "0", "status": "missed", "category": "delivery"},
        ]),
        Batch("calls", "communications", "2024-06-03T00:00:00Z", [
            {"communication_id": "k99", "direction": "in", "from_address": "13800138000", "sent_at": at(14)},
        ], status="held"),
        Batch("inbox", "email_messages", DAY_ONE, [
            {"message_id": "m1@x", "from_address": "anna@example.org", "from_name": "Anna Kern",
             "to_addresses": "care@shop.example", "subject": "Where is my parcel?",
             "body_text": "Call me on +86 138 0013 8000 or mail anna@example.org.", "sent_at": at(20, "01:00")},
            {"message_id": "m2@x", "in_reply_to": "m1@x", "references_ids": "m1@x", "from_address": "lina@shop.example",
             "to_addresses": "anna@example.org", "subject": "Re: Where is my parcel?", "body_text": "On its way.",
             "sent_at": at(20, "03:00")},
            {"message_id": "m3@x", "in_reply_to": "m2@x", "from_address": "anna@example.org",
             "to_addresses": "care@shop.example", "subject": "Re: Where is my parcel?", "body_text": "谢谢！已经收到了",
             "sent_at": at(27, "03:00")},
            {"message_id": "m4@x", "from_address": "stranger@elsewhere.example", "to_addresses": "care@shop.example",
             "subject": "Question", "body_text": "Do you ship?", "sent_at": at(28)},
            {"message_id": "m5@x", "in_reply_to": "m4@x", "from_address": "care@shop.example",
             "to_addresses": "stranger@elsewhere.example", "body_text": "Out of office", "sent_at": at(28, "09:01"),
             "is_auto_reply": "true"},
        ]),
        # a visitor who gives an address: the chat handle now belongs to Anna
        Batch("chats", "communications", DAY_ONE, [
            {"communication_id": "h1", "conversation_id": "s1", "direction": "in", "handle": "visitor-7",
             "body": "hello", "sent_at": at(22, "10:00")},
            {"communication_id": "h2", "conversation_id": "s1", "direction": "out", "handle": "visitor-7",
             "agent": "Li Na", "body": "Your mail, please?", "sent_at": at(22, "10:02")},
            {"communication_id": "h3", "conversation_id": "s1", "direction": "in", "handle": "visitor-7",
             "email": "anna@example.org", "body": "see above", "sent_at": at(22, "10:03")},
            {"communication_id": "h4", "conversation_id": "s2", "direction": "in", "handle": "visitor-8",
             "body": "anyone there? card 6222 0212 3456 7890", "sent_at": at(30, "10:00")},
        ]),
        Batch("social", "communications", DAY_ONE, [
            {"communication_id": "p1", "from_address": "@anna_k", "body": "@shop_care still waiting", "sent_at": at(24)},
            {"communication_id": "p2", "in_reply_to": "p1", "from_address": "@shop_care", "to_address": "@anna_k",
             "body": "Sorry!", "sent_at": at(24, "14:00")},
        ]),
        Batch("crm_cases", "conversations", DAY_ONE, [
            {"conversation_id": "case-1", "channel": "邮件", "status": "Closed", "category": "refund", "customer_id": "c2",
             "agent": "a2", "opened_at": at(3), "first_reply_at": at(3, "12:00"), "closed_at": at(4),
             "survey_score": "5", "survey_remark": "mail me: w@example.org", "survey_at": at(5)},
            {"conversation_id": "case-2", "channel": "email", "status": "closed", "customer_id": "c2",
             "opened_at": at(6), "first_reply_at": at(5), "closed_at": at(7)},
            {"conversation_id": "case-3", "channel": "email", "status": "closed", "customer_id": "c2",
             "opened_at": at(6), "closed_at": at(7), "survey_score": "9"},
            {"conversation_id": "case-4", "channel": "email", "status": "open", "customer_id": "c1", "opened_at": at(29)},
        ]),
        Batch("notes", "communications", DAY_ONE, [
            {"communication_id": "x-same", "channel": "in_person", "body": "came by", "customer_id": "c2"},
            {"communication_id": "x-gone", "channel": "in_person", "body": "asked for the manager"},
        ], file="notes.csv"),
        Batch("notes", "communications", DAY_TWO, [
            {"communication_id": "x-same", "channel": "in_person", "body": "came by", "customer_id": "c2"},
            {"communication_id": "x-new", "channel": "门店", "body": "bought a lamp", "customer_id": "c2"},
        ], file="notes.csv"),
        Batch("surveys", "survey_responses", DAY_ONE, [
            {"survey_id": "v1", "survey_kind": "csat", "survey_score": "2", "conversation_id": "s1",
             "responded_at": at(23)},
            {"survey_id": "v2", "survey_kind": "NPS", "survey_score": "10", "customer_id": "c2", "responded_at": at(6)},
            {"survey_id": "v3", "survey_kind": "nps", "survey_score": "0", "email": "nobody@example.org",
             "responded_at": at(6)},
            {"survey_id": "v4", "survey_kind": "ces", "survey_score": "8", "responded_at": at(6)},
            {"survey_id": "v5", "survey_kind": "csat", "survey_score": "4", "conversation_id": "k1",
             "responded_at": at(10, "10:00")},
        ]),
        Batch("shop", "orders", DAY_ONE, [
            {"order_id": "o1", "customer_id": "c1", "ordered_at": at(2), "amount": "¥1,200.50", "currency": "cny"},
            {"order_id": "o2", "customer_id": "c2", "ordered_at": at(3), "amount": "80", "status": "已取消"},
            {"order_id": "o3", "customer_id": "c2", "ordered_at": at(4), "amount": "99.90"},
            {"order_id": "o4", "customer_id": "c2", "ordered_at": at(4), "amount": "many"},
        ]),
        Batch("tills", "order_lines", DAY_ONE, [
            {"order_line_id": "l1", "order_id": "b1", "customer_id": "c2", "quantity": "2", "unit_price": "10.05",
             "ordered_at": at(8)},
            {"order_line_id": "l2", "order_id": "b1", "customer_id": "c2", "quantity": "1", "unit_price": "5",
             "ordered_at": at(8)},
            {"order_line_id": "l3", "order_id": "C77", "customer_id": "c2", "quantity": "-1", "unit_price": "5",
             "ordered_at": at(9)},
            {"order_line_id": "l4", "order_id": "o1", "customer_id": "c1", "quantity": "1", "unit_price": "1200.50",
             "ordered_at": at(2)},
        ]),
        Batch("tasks", "follow_ups", DAY_ONE, [
            {"follow_up_id": "f1", "customer_id": "c1", "status": "done", "approved_at": at(1), "due_at": at(2),
             "completed_at": at(3)},
            {"follow_up_id": "f2", "customer_id": "c2", "status": "done", "approved_at": at(1), "due_at": at(2),
             "completed_at": at(1, "10:00")},
        ]),
        Batch("clicks", "events", DAY_ONE, [
            {"event_id": "e1", "event_name": "visit", "customer_id": "c1", "occurred_at": at(31, "12:00")},
            # later than its own extract: must not move the day the company is looked at
            {"event_id": "e2", "event_name": "visit", "customer_id": "c1", "occurred_at": at(1, month=12)},
        ]),
    ]  # fmt: skip


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
        for kind, value in OWN:
            _insert(con, "ops.own_identities", {"kind": kind, "value": value})
        for sequence, batch in enumerate(batches, start=1):
            _write_batch(con, batch, sequence)


def _write_batch(con: duckdb.DuckDBPyConnection, batch: Batch, sequence: int) -> None:
    count = len(batch.rows)
    _insert(con, "ops.ledger", {
        "batch_seq": sequence, "batch_id": batch.batch_id, "source_name": batch.source,
        "entity": batch.table, "extracted_at": batch.extracted_at, "n_physical": count, "n_raw": count,
        "n_structural_rejects": 0, "status": batch.status,
    })  # fmt: skip
    for number, row in enumerate(batch.rows, start=1):
        _insert(con, f"raw.{batch.table}", {
            **row, "source_name": batch.source, "batch_id": batch.batch_id, "batch_seq": sequence,
            "extracted_at": batch.extracted_at, "file_name": batch.file, "row_number": number,
            "extra": json.dumps({}),
        })  # fmt: skip


def _insert(con: duckdb.DuckDBPyConnection, table: str, row: Row) -> None:
    names, marks = ", ".join(row), ", ".join("?" for _ in row)
    con.execute(f"insert into {table} ({names}) values ({marks})", list(row.values()))


class Dbt:
    """dbt in this process, on a warehouse file of the test's own."""

    def __init__(self, folder: Path) -> None:
        """Keep warehouse, target and logs under one folder."""
        self.warehouse = folder / "warehouse.duckdb"
        os.environ.update({
            "CARELAKE_WAREHOUSE": str(self.warehouse),
            "CARELAKE_PEPPER": PEPPER,
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DO_NOT_TRACK": "1",
        })  # fmt: skip

    def __call__(self, *arguments: str) -> dict[str, str]:
        """Run one dbt command; gives node name -> status, and fails on a failed node."""
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        place = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        try:
            outcome = dbtRunner().invoke(["--quiet", *arguments, *place])
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
            if str(result.status) not in ("success", "pass")
        ]
        assert outcome.success and not failed, "\n".join(failed)
        return results

    def query(self, sql: str) -> list[Any]:
        """Rows of a query on what was built; a single column comes as plain values."""
        with duckdb.connect(str(self.warehouse), read_only=True) as con:
            con.execute("set TimeZone = 'UTC'")
            rows = con.execute(sql).fetchall()
        return [row[0] for row in rows] if rows and len(rows[0]) == 1 else rows

    def fingerprint(self) -> dict[str, tuple[int, int]]:
        """Per mart, row count and sum of row hashes."""
        marts = self.query("select table_name from information_schema.tables where table_schema = 'marts'")
        return {
            mart: self.query(f"select count(*), sum(hash(m)::hugeint) from marts.{mart} m")[0]
            for mart in sorted(marts)
        }


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dbt]:
    """dbt on the hand-made company, every layer built and tested."""
    before = dict(os.environ)
    runner = Dbt(tmp_path_factory.mktemp("dbt"))
    write_warehouse(runner.warehouse, company())
    runner("build", "--exclude-resource-type", "unit_test")
    yield runner
    os.environ.clear()
    os.environ.update(before)


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

