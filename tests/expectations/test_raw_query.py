"""A batch is held for the fault that is in its rows, and for no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from tests.planted import Warehouse

Failures = Callable[[duckdb.DuckDBPyConnection, str], set[tuple[str, str, str]]]
HOLD, WARN = "blocking", "warning"


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ({}, set()),
        ({"n": 0}, {("n_physical", HOLD)}),
        ({"n_physical": 11}, {("n_unaccounted", HOLD)}),
        ({"n_rows": 9}, {("n_rows_missing", HOLD)}),
        (
            {"n_physical": 30, "n_structural_rejects": 20},
            {("reject_share", HOLD), ("reject_share", WARN)},
        ),
        ({"n_physical": 11, "n_structural_rejects": 1}, {("reject_share", WARN)}),
        (
            {"columns": {"communication_id": "case when i < 3 then 'c' || i end"}},
            {("missing_id_share", HOLD), ("missing_id_share", WARN)},
        ),
        (
            {"columns": {"sent_at": "'01/05/2024 10:00'"}},
            {("bad_time_share", HOLD), ("bad_time_share", WARN)},
        ),
        ({"columns": {"sent_at": "null", "body": "null"}}, {("blank_share", HOLD)}),
        (
            {"columns": {"body": "'caf' || chr(65533)"}},
            {("garbled_share", HOLD), ("garbled_share", WARN)},
        ),
        (
            {"missing_columns": '["category", "sent_at"]'},
            {("missing_essential", HOLD), ("missing_columns", WARN)},
        ),
        ({"missing_columns": '["category"]'}, {("missing_columns", WARN)}),
        ({"new_columns": '["Mood"]'}, {("new_columns", WARN)}),
    ],
)
def test_a_batch_is_held_for_its_own_fault(
    con: duckdb.DuckDBPyConnection,
    failures: Failures,
    batch: dict[str, Any],
    expected: set[tuple[str, str]],
) -> None:
    warehouse = Warehouse(con)
    warehouse.load(batch_id="bad", **batch)
    warehouse.load(batch_id="good")
    assert failures(con, "raw__batches") == {("bad", *found) for found in expected}


def test_a_shrunken_snapshot_is_held_before_it_deletes(
    con: duckdb.DuckDBPyConnection, failures: Failures
) -> None:
    warehouse = Warehouse(con)
    warehouse.load("crm", 100, checked=True)
    warehouse.load("crm", 10, checked=True, status="held")
    warehouse.load("crm", 60, batch_id="smaller")
    warehouse.load("crm", 20, batch_id="halved")
    assert failures(con, "raw__batches") == {("halved", "snapshot_ratio", HOLD)}


def test_an_unusual_volume_is_told_only_where_there_is_a_usual_one(
    con: duckdb.DuckDBPyConnection, failures: Failures
) -> None:
    warehouse = Warehouse(con)
    for _ in range(2):
        warehouse.load(n=100, checked=True)
    warehouse.load(n=1, batch_id="third")
    assert failures(con, "raw__batches") == set()
    warehouse.load(n=1, batch_id="fourth")
    assert failures(con, "raw__batches") == {("fourth", "volume_ratio", WARN)}


def test_a_file_that_came_before_is_told(
    con: duckdb.DuckDBPyConnection, failures: Failures
) -> None:
    warehouse = Warehouse(con)
    for batch in (warehouse.load(checked=True), warehouse.load(batch_id="again")):
        warehouse.file(batch)
    assert failures(con, "raw__batches") == {("again", "n_repeated_files", WARN)}


def test_checked_and_held_batches_are_not_looked_at_again(
    con: duckdb.DuckDBPyConnection, failures: Failures
) -> None:
    warehouse = Warehouse(con)
    warehouse.load(n=0, checked=True)
    warehouse.load(n=0, status="held")
    assert failures(con, "raw__batches") == set()
