"""Whatever a remembering model tells of moves it: alone, and as if all had been built at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.dbt_project.conftest import Batch, Dbt, company, load_batch, write_warehouse
from tests.dbt_project.test_increments import AGAIN, BELOW_THE_MARTS, BUILD, HOW_NUMBERS_ARE_READ

LATER = "2024-06-20T00:00:00Z"
# Known in a newer version only, until an older one comes late.
NEWER = [
    Batch("shop", "orders", "2024-06-02T00:00:00Z", [
        {"order_id": "o902", "customer_id": "c2", "amount": "40", "status": "cancelled",
         "ordered_at": "2024-04-01T00:00:00.000000Z", "updated_at": "2024-05-20T00:00:00.000000Z"},
    ]),
    Batch("surveys", "survey_responses", "2024-06-02T00:00:00Z", [
        {"survey_id": "s902", "customer_id": "c2", "survey_score": "5", "survey_kind": "csat",
         "responded_at": "2024-04-01T00:00:00.000000Z", "updated_at": "2024-05-20T00:00:00.000000Z"},
    ]),
]  # fmt: skip
Change = Callable[[duckdb.DuckDBPyConnection], None]


def _batch(source: str, table: str, row: dict[str, str]) -> Change:
    return lambda con: load_batch(con, Batch(source, table, LATER, [row], file="later.csv"))


def _statement(text: str) -> Change:
    return lambda con: con.execute(text) and None


# what changes, the table that must move by it, and the columns in which
CHANGES: dict[str, tuple[Change, str, str]] = {
    "an order": (
        _batch("shop", "orders", {"order_id": "o900", "customer_id": "c1", "amount": "10",
                                  "ordered_at": "2024-04-01T00:00:00.000000Z"}),
        "intermediate.int_conversation_features", "n_prior_orders, prior_order_value",
    ),
    "an order that was cancelled afterwards": (
        _batch("shop", "orders", {"order_id": "o3", "customer_id": "c2", "amount": "99.90", "status": "cancelled",
                                  "ordered_at": "2024-05-04T09:00:00.000000Z",
                                  "updated_at": "2024-05-08T00:00:00.000000Z"}),
        "intermediate.int_conversation_features", "n_prior_orders, prior_order_value",
    ),
    "what was once said of an order": (
        _batch("shop", "orders", {"order_id": "o902", "customer_id": "c2", "amount": "40",
                                  "ordered_at": "2024-04-01T00:00:00.000000Z",
                                  "updated_at": "2024-04-02T00:00:00.000000Z"}),
        "intermediate.int_conversation_features", "n_prior_orders, prior_order_value",
    ),
    "what was once answered": (
        _batch("surveys", "survey_responses", {"survey_id": "s902", "customer_id": "c2", "survey_score": "1",
                                               "survey_kind": "csat",
                                               "responded_at": "2024-04-01T00:00:00.000000Z",
                                               "updated_at": "2024-04-02T00:00:00.000000Z"}),
        "intermediate.int_conversation_features", "prior_satisfaction",
    ),
    "an answer": (
        _batch("surveys", "survey_responses", {"survey_id": "s900", "customer_id": "c1", "survey_score": "1",
                                               "survey_kind": "csat",
                                               "responded_at": "2024-04-01T00:00:00.000000Z"}),
        "intermediate.int_conversation_features", "prior_satisfaction",
    ),
    "a remark with an answer": (
        _batch("surveys", "survey_responses", {"survey_id": "s901", "conversation_id": "k1",
                                               "survey_remark": "too slow"}),
        "intermediate.int_conversation_features", "comment",
    ),
    "an agent's name": (
        _batch("staff", "agents", {"agent_id": "a1", "agent_name": "Li Na-Braun", "phone": "801",
                                   "email": "lina@shop.example", "team": "north"}),
        "intermediate.int_conversation_features", "agent_name",
    ),
    "a rule of needs": (
        _statement("insert into ops.need_rules (need, kind, word) values ('delivery', 'en', 'do you ship')"),
        "intermediate.int_needs_in_order", "need",
    ),
    "the order a case names": (
        _batch("crm_cases", "conversations", {"conversation_id": "case900", "customer_id": "c1",
                                              "order_id": "o1", "channel": "phone",
                                              "opened_at": "2024-05-02T00:00:00.000000Z"}),
        "intermediate.int_needs_in_order", "order_key",
    ),
    "how a message sounds": (
        _statement("insert into ml.sentiment_scores (text_hash, sentiment) "
                   "select distinct text_hash, 'negative' from intermediate.int_communications "
                   "where text_hash is not null"),
        "intermediate.part_channel_days", "n_sentiment_negative",
    ),
    "an agent's team": (
        _batch("staff", "agents", {"agent_id": "a1", "agent_name": "Li Na", "phone": "801",
                                   "email": "lina@shop.example", "team": "east"}),
        "intermediate.part_service_days", "team",
    ),
    "all conversations go, orders and answers stay": (
        _statement("update ops.ledger set status = 'held' "
                   "where entity in ('communications', 'conversations', 'email_messages')"),
        "intermediate.int_needs_in_order", "need",
    ),
    "what was bought": (
        _batch("shop", "orders", {"order_id": "o901", "customer_id": "c2", "amount": "99999",
                                  "ordered_at": "2024-04-01T00:00:00.000000Z"}),
        "intermediate.part_index_weeks", "customer_key, week, cv",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dbt]:
    dbt = Dbt(tmp_path_factory.mktemp("remembered"))
    write_warehouse(dbt.warehouse, [*company(), *NEWER])
    dbt(*BUILD)
    shutil.copyfile(dbt.warehouse, _kept(dbt))
    yield dbt


def _kept(dbt: Dbt) -> Path:
    return dbt.warehouse.with_suffix(".built")


def _told(dbt: Dbt, table: str, columns: str) -> list[Any]:
    return dbt.query(f"select {columns} from {table} order by all")


@pytest.mark.slow
@pytest.mark.parametrize("what", CHANGES)
def test_a_change_moves_what_tells_of_it(built: Dbt, what: str) -> None:
    change, table, columns = CHANGES[what]
    shutil.copyfile(_kept(built), built.warehouse)
    before = _told(built, table, columns)
    with duckdb.connect(str(built.warehouse)) as con:
        con.execute("set TimeZone = 'UTC'")
        change(con)
    built(*AGAIN, *BELOW_THE_MARTS)
    assert _told(built, table, columns) != before
    grown = built.fingerprint("intermediate", "features")
    built(*AGAIN, *BELOW_THE_MARTS, "--full-refresh")
    whole = built.fingerprint("intermediate", "features")
    for tables in (grown, whole):
        tables.pop(HOW_NUMBERS_ARE_READ, None)
    assert grown == whole
