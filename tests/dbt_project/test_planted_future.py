"""Facts and revisions that come after a conversation closed move none of its features."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import duckdb
import pytest

from carelake.settings import Home, Settings
from carelake.warehouse.as_of import export_as_of
from tests.dbt_project.conftest import PEPPER, Batch, Dbt, company, load_batch, write_warehouse

MAY, JULY = "2024-06-04T00:00:00Z", "2024-07-30T00:00:00Z"
CHAT = {"conversation_id": "s9", "handle": "visitor-7"}
# A chat that ends, and a case with everything a case has: both lie in May.
CLOSED = [
    Batch("chats", "communications", MAY, [
        {**CHAT, "communication_id": "h90", "direction": "in", "body": "where is my order?", "sentiment": "Negative", "sent_at": "2024-05-15T10:00:00Z"},
        {**CHAT, "communication_id": "h91", "direction": "out", "body": "on its way", "agent": "Li Na", "duration_seconds": "60",
         "status": "closed", "sent_at": "2024-05-15T10:02:00Z"},
    ]),
    Batch("crm_cases", "conversations", MAY, [
        {"conversation_id": "case-9", "channel": "email", "status": "closed", "category": "delivery", "customer_id": "c1",
         "agent": "a2", "opened_at": "2024-05-25T09:00:00Z", "first_reply_at": "2024-05-25T10:00:00Z",
         "closed_at": "2024-05-26T09:00:00Z", "handle_seconds": "300", "survey_score": "4", "survey_at": "2024-05-26T12:00:00Z"},
    ]),
    Batch("surveys", "survey_responses", MAY, [
        {"survey_id": "v80", "survey_kind": "csat", "survey_score": "5", "survey_remark": "quick", "conversation_id": "s9",
         "responded_at": "2024-05-15T12:00:00Z"},
    ]),
]  # fmt: skip
# What the following two months bring about the same people.
FUTURE = [
    Batch("surveys", "survey_responses", JULY, [
        {"survey_id": "v90", "survey_kind": "nps", "survey_score": "0", "survey_remark": "never again", "customer_id": "c1",
         "responded_at": "2024-07-01T09:00:00Z"},
        {"survey_id": "v91", "survey_kind": "csat", "survey_score": "1", "customer_id": "c2", "responded_at": "2024-07-02T09:00:00Z"},
    ]),
    Batch("calls", "communications", JULY, [
        {"communication_id": "k90", "direction": "in", "from_address": "13800138000", "agent": "802",
         "sent_at": "2024-07-03T09:00:00Z", "duration_seconds": "900", "status": "answered"},
        {"communication_id": "k91", "direction": "in", "from_address": "13900139000", "agent": "801",
         "sent_at": "2024-07-03T10:00:00Z", "duration_seconds": "900", "status": "answered"},
    ]),
    Batch("chats", "communications", JULY, [
        {**CHAT, "communication_id": "h92", "direction": "in", "body": "一直没有收到", "sentiment": "负面", "sent_at": "2024-07-04T10:00:00Z"},
        {**CHAT, "communication_id": "h93", "direction": "out", "body": "对不起", "agent": "Tom Ash", "duration_seconds": "500",
         "status": "closed", "sent_at": "2024-07-04T10:05:00Z"},
    ]),
    Batch("shop", "orders", JULY, [
        {"order_id": "o90", "customer_id": "c1", "ordered_at": "2024-07-05T09:00:00Z", "amount": "999", "currency": "cny"},
        {"order_id": "o91", "customer_id": "c2", "ordered_at": "2024-07-05T09:00:00Z", "amount": "888", "currency": "cny"},
    ]),
    Batch("crm_contacts", "customers", JULY, [
        {"customer_id": "c1", "customer_name": "Anna Kern", "email": "Anna@Example.org", "phone": "138 0013 8000",
         "handle": "@Anna_K", "age": "71", "gender": "先生", "created_at": "2024-05-01T09:00:00Z"},
        {"customer_id": "c2", "customer_name": "王伟", "phone": "+86 139 0013 9000", "city": "上海", "age": "22", "gender": "女",
         "created_at": "2024-05-01T09:00:00Z"},
        {"customer_id": "c3", "customer_name": "Carl Ott", "phone": "+49 30 901820", "email": "carl@office.example", "created_at": "2024-05-02T09:00:00Z"},
        {"customer_id": "c4", "customer_name": "Dora Ott", "phone": "+49 30 901820", "created_at": "2024-05-02T09:00:00Z"},
    ]),
    Batch("staff", "agents", JULY, [
        {"agent_id": "a1", "agent_name": "Li Na", "email": "lina@shop.example", "phone": "801", "team": "west"},
        {"agent_id": "a2", "agent_name": "Tom Ash", "email": "tom@shop.example", "phone": "802", "team": "east"},
    ]),
]  # fmt: skip
# Then what was said of orders and answers long ago is said otherwise, and both people call again.
AUGUST = "2024-08-05T00:00:00Z"
REVISIONS = [
    Batch("shop", "orders", AUGUST, [
        {"order_id": "o1", "customer_id": "c1", "ordered_at": "2024-05-02T09:00:00.000000Z", "amount": "¥1,200.50",
         "currency": "cny", "status": "cancelled", "updated_at": "2024-07-31T09:00:00Z"},
        {"order_id": "o2", "customer_id": "c2", "ordered_at": "2024-05-03T09:00:00.000000Z", "amount": "80", "status": "paid",
         "updated_at": "2024-07-31T09:00:00Z"},
        {"order_id": "o3", "customer_id": "c2", "ordered_at": "2024-04-01T09:00:00.000000Z", "amount": "500"},
    ]),
    Batch("surveys", "survey_responses", AUGUST, [
        {"survey_id": "v2", "survey_kind": "NPS", "survey_score": "1", "customer_id": "c2",
         "responded_at": "2024-05-06T09:00:00.000000Z", "updated_at": "2024-07-31T09:00:00Z"},
        {"survey_id": "v5", "survey_kind": "csat", "survey_score": "1", "conversation_id": "k1",
         "responded_at": "2024-05-10T10:00:00.000000Z"},
    ]),
    Batch("calls", "communications", AUGUST, [
        {"communication_id": "k94", "direction": "in", "from_address": "13800138000", "agent": "802",
         "sent_at": "2024-08-06T09:00:00Z", "duration_seconds": "60", "status": "answered"},
        {"communication_id": "k95", "direction": "in", "from_address": "13900139000", "agent": "801",
         "sent_at": "2024-08-06T10:00:00Z", "duration_seconds": "60", "status": "answered"},
    ]),
]  # fmt: skip
ANSWER = {"label_satisfied", "label_at", "comment"}
"""What the customer said of the conversation afterwards: no input of any forecast."""

Rows = dict[str, dict[str, Any]]


class Told(NamedTuple):
    """Features before and after the future came, and which conversations had closed before."""

    dbt: Dbt
    before: Rows
    after: Rows
    closed: set[str]
    people: Rows
    texts: Rows


BUILD = (
    "run",
    "--select",
    "path:models/staging",
    "path:models/intermediate",
    "path:models/features",
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    dbt = Dbt(tmp_path_factory.mktemp("planted"))
    write_warehouse(dbt.warehouse, [*company(), *CLOSED])
    dbt(*BUILD)
    before, people = features(dbt), features(dbt, "features_customers")
    texts = features(dbt, "features_sentiment")
    closed = set(
        dbt.query(
            "select conversation_key from intermediate.int_conversations "
            "where status = 'closed' and occurred_at is not null"
        )
    )
    bring(dbt, FUTURE)
    yield Told(dbt, before, features(dbt), closed, people, texts)


def bring(dbt: Dbt, batches: list[Batch]) -> None:
    with duckdb.connect(str(dbt.warehouse)) as con:
        con.execute("set TimeZone = 'UTC'")
        for batch in batches:
            load_batch(con, batch)
    dbt(*BUILD)


def features(dbt: Dbt, name: str = "features_conversations") -> Rows:
    with duckdb.connect(str(dbt.warehouse), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        return as_rows(con, f"features.{name}")


def as_rows(con: duckdb.DuckDBPyConnection, relation: str) -> Rows:
    found = con.execute(f"from {relation}")
    names = [column[0] for column in found.description or []]
    return {row[0]: dict(zip(names, row, strict=True)) for row in found.fetchall()}


@pytest.mark.slow
def test_no_feature_of_a_closed_conversation_moves(told: Told) -> None:
    dbt, before, after, closed, *_ = told
    (reopened,) = dbt.query(
        "select conversation_key from intermediate.int_conversations where conversation_id = 's9'"
    )
    assert len(closed) >= 7 and len(after) > len(before)
    moved = {
        (row["occurred_at"].isoformat(), name): (value, after[key][name])
        for key, row in before.items()
        if key in closed and key != reopened
        for name, value in row.items()
        if name not in ANSWER and after[key][name] != value
    }
    assert moved == {}
    # the chat ended a second time: it is foretold anew, and what was answered before is no label of that
    assert before[reopened]["label_satisfied"] is True
    assert after[reopened]["occurred_at"] > before[reopened]["occurred_at"]
    assert after[reopened]["label_satisfied"] is None and after[reopened]["is_reopened"]


@pytest.mark.slow
def test_what_is_said_otherwise_later_moves_nothing_that_ended_before(
    told: Told, tmp_path: Path
) -> None:
    dbt = Dbt(tmp_path)
    shutil.copyfile(told.dbt.warehouse, dbt.warehouse)
    bring(dbt, REVISIONS)
    after = features(dbt)
    moved = {
        (row["occurred_at"].isoformat(), name): (value, after[key][name])
        for key, row in told.after.items()
        if row["occurred_at"] is not None
        for name, value in row.items()
        if name not in ANSWER and after[key][name] != value
    }
    assert moved == {}
    # what is foretold afterwards knows of it: o1 counts no more, o2 counts, o3 is worth 500; answers are 1 and 1
    names = ("n_prior_orders", "prior_order_value", "prior_satisfaction")
    later = sorted(set(after) - set(told.after), key=lambda key: str(after[key]["occurred_at"]))
    assert [tuple(str(after[key][name]) for name in names) for key in later] == [
        ("1", "999.00", "0.400000"),
        ("4", "1493.10", "0.366667"),
    ]


@pytest.mark.slow
def test_no_text_whose_sentiment_was_told_moves(told: Told) -> None:
    after = features(told.dbt, "features_sentiment")
    assert {row["told_by"] for row in told.texts.values()} == {"message", "survey"}
    assert len(after) == len(told.texts) + 2
    assert {key: after[key] for key in told.texts} == told.texts


@pytest.mark.slow
def test_an_export_as_of_then_is_what_was_built_then(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dbt, before, _, closed, then, texts = told
    monkeypatch.setenv("CARELAKE_PEPPER", PEPPER)
    home = Home(tmp_path / "home")
    home.dbt.mkdir(parents=True)
    (home.dbt / "target").symlink_to(dbt.target)
    os.link(dbt.warehouse, home.warehouse)
    done = export_as_of(
        SimpleNamespace(home=home, settings=Settings()), "2024-05-31", tmp_path / "may"
    )  # type: ignore[arg-type]
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        found = as_rows(con, f"'{tmp_path / 'may' / 'conversations.parquet'}'")
        people = as_rows(con, f"'{tmp_path / 'may' / 'customers.parquet'}'")
        said = as_rows(con, f"'{tmp_path / 'may' / 'sentiment.parquet'}'")
    assert said == {key: row for key, row in texts.items() if row["told_at"] <= done.as_of}
    (reopened,) = closed - set(found)  # by the newest build it ended in July
    assert before[reopened]["text"] == "where is my order?"
    still = closed - {reopened}
    assert {key: found[key] for key in still} == {key: before[key] for key in still}
    assert done.n_conversations == len(found) and done.n_customers == len(people)
    assert max(row["occurred_at"] for row in found.values() if row["occurred_at"]) <= done.as_of
    # counted up to then, as the build of then did; who somebody is, is told by the newest row
    for row in (*people.values(), *then.values()):
        del row["age"], row["gender"]
    assert people == then
