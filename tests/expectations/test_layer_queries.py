"""What the queries of the suites give: nothing where all is sound, and nothing of a person ever."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pytest

from expectations.suites import load_suites
from tests.planted import DEFECTS, make_company

Failures = Callable[[duckdb.DuckDBPyConnection, str], set[tuple[str, str, str]]]


@pytest.fixture
def company(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    make_company(con)
    return con


def test_a_sound_warehouse_breaks_nothing(
    company: duckdb.DuckDBPyConnection, failures: Failures
) -> None:
    assert {suite: failures(company, suite) for suite in DEFECTS} == {
        suite: set() for suite in DEFECTS
    }


def test_queries_give_counts_and_labels_and_nothing_of_a_person(
    company: duckdb.DuckDBPyConnection,
) -> None:
    private = {"text", "name_masked", "value_masked", "customer_key", "email", "phone", "handle"}
    for layer in ("staging", "features", "marts"):
        for suite in load_suites(layer):
            names = {column[0] for column in company.execute(suite.query).description or []}
            assert not names & private, suite.name
