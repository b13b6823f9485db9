from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import duckdb
import pytest

from carelake.warehouse.recorded import record_checks
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
