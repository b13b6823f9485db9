from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import duckdb
import pytest

from carelake.warehouse.recorded import record_checks, record_segment_changes
from carelake.warehouse.schema import create_recorded_tables
from expectations.gate import CheckResult

MOMENT = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        create_recorded_tables(connection)
        yield connection


def result(run_id: str, layer: str, batch_id: str | None = None, *, ok: bool = True) -> CheckResult:
    return CheckResult(
        run_id=run_id, checked_at=MOMENT, layer=layer, suite="s", expectation="e", column_name="c",
        severity="blocking", success=ok, observed="", unexpected_count=0, element_count=1,
        batch_id=batch_id, details="",
    )  # fmt: skip


def kept(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str | None, bool]]:
    return con.execute(
        "select run_id, layer, batch_id, success from ops.check_results order by all"
    ).fetchall()


def test_a_check_made_twice_in_a_run_counts_once_and_other_runs_stay(
    con: duckdb.DuckDBPyConnection,
) -> None:
    record_checks(con, [result("r1", "marts"), result("r1", "raw")])
    record_checks(con, [result("r2", "marts", ok=False)])
    record_checks(con, [result("r2", "marts")])
    assert kept(con) == [
        ("r1", "marts", None, True),
        ("r1", "raw", None, True),
        ("r2", "marts", None, True),
    ]


def test_what_was_found_in_a_batch_stays_when_the_check_is_made_again_without_it(
    con: duckdb.DuckDBPyConnection,
) -> None:
    record_checks(con, [result("r1", "raw", "a-000001", ok=False), result("r1", "raw")])
    record_checks(con, [result("r1", "raw", "a-000001", ok=False)])
    record_checks(con, [result("r1", "raw")])
    assert kept(con) == [("r1", "raw", "a-000001", False), ("r1", "raw", None, True)]


def scored(con: duckdb.DuckDBPyConnection, day: int, **segments: str) -> None:
    """Put these scores in the place of the others, as of a day of May, and note who changed."""
    con.execute("create schema if not exists intermediate")
    con.execute(
        "create or replace table intermediate.int_as_of as select make_timestamptz(2024, 5, ?, 0, 0, 0) as as_of",
        [day],
    )
    con.execute("delete from ml.segment_scores")
    for customer, segment in segments.items():
        con.execute(
            "insert into ml.segment_scores (customer_key, segment_name) values (?, ?)",
            [customer, segment],
        )
    record_segment_changes(con)


def noted(con: duckdb.DuckDBPyConnection) -> list[tuple[int, str, str | None]]:
    return con.execute(
        "select day(scored_as_of at time zone 'UTC')::integer, customer_key, segment_name "
        "from ml.segment_changes order by all"
    ).fetchall()


def test_only_who_changes_segment_is_noted_and_a_scoring_made_again_counts_once(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute("set TimeZone = 'UTC'")
    scored(con, 1, anna="loyal", bo="loyal")
    scored(con, 2, anna="loyal", bo="leaving")
    scored(con, 2, anna="leaving", bo="loyal")
    scored(con, 3, anna="leaving")
    scored(con, 4, anna="leaving", bo="loyal")
    assert noted(con) == [
        (1, "anna", "loyal"),
        (1, "bo", "loyal"),
        (2, "anna", "leaving"),
        (3, "bo", None),
        (4, "bo", "loyal"),
    ]
