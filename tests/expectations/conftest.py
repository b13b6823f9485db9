"""Judge the rows of a suite's query by its limits, without the library: fast enough for many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest

from expectations.suites import LAYERS, ExpectationEntry, load_suites


def _is_met(entry: ExpectationEntry, value: Any) -> bool:
    if entry.type == "expect_column_values_to_be_null":
        return value is None
    if value is None:
        return True
    if entry.type == "expect_column_values_to_be_in_set":
        return value in entry.kwargs["value_set"]
    assert entry.type == "expect_column_values_to_be_between"
    return bool(entry.kwargs.get("min_value", -1e9) <= value <= entry.kwargs.get("max_value", 1e9))


@pytest.fixture
def failures() -> Callable[[duckdb.DuckDBPyConnection, str], set[tuple[str, str, str]]]:
    """Runs a suite's query: the (index, column, severity) of every expectation a row breaks."""
    suites = {suite.name: suite for layer in LAYERS for suite in load_suites(layer)}

    def judge(con: duckdb.DuckDBPyConnection, name: str) -> set[tuple[str, str, str]]:
        suite = suites[name]
        result = con.execute(suite.query)
        names = [column[0] for column in result.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
        return {
            (str(row[suite.content.meta.index[-1]]), entry.kwargs["column"], entry.meta.severity)
            for row in rows
            for entry in suite.content.expectations
            if not _is_met(entry, row[entry.kwargs["column"]])
        }

    return judge


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
