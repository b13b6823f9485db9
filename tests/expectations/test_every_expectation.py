"""For every expectation of every suite a planted defect, on which it fires and no other does."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from expectations import gate
from expectations.suites import LAYERS, Suite, load_suites
from tests.planted import ALSO, DEFECTS, RAW_DEFECTS, Warehouse, make_company

Expectation = tuple[str, str]
"""Column and severity, which name an expectation within its suite."""


def plant(con: duckdb.DuckDBPyConnection, suite: Suite, expectation: Expectation | None) -> None:
    """Make a sound warehouse unsound, in the one way an expectation exists for."""
    if suite.name == "raw__batches":
        warehouse = Warehouse(con)
        RAW_DEFECTS[expectation](warehouse) if expectation else warehouse.load()
    elif expectation:
        con.execute(DEFECTS[suite.name][expectation[0]])


def expectations_of(suite: Suite) -> list[Expectation]:
    found = [(e.kwargs["column"], e.meta.severity) for e in suite.content.expectations]
    assert len(set(found)) == len(found), f"{suite.name}: two of the same column and severity"
    return found


def all_defects(suite: Suite) -> pd.DataFrame:
    """What the query gives with nothing planted, and with each defect; `batch_id` says which."""
    frames = []
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        make_company(con)
        for number, expectation in enumerate([None, *expectations_of(suite)]):
            con.execute("begin")
            plant(con, suite, expectation)
            frames.append(con.execute(suite.query).df().assign(batch_id=str(number)))
            con.execute("rollback")
    return pd.concat(frames, ignore_index=True)


def told_by_row(suite: Suite) -> Suite:
    """The suite, its failures reported row by row, as the gate does for batches."""
    meta = suite.content.meta
    index = list(dict.fromkeys([*meta.index, "batch_id"]))
    content = suite.content.model_copy(update={"meta": meta.model_copy(update={"index": index})})
    return dataclasses.replace(suite, content=content)


@pytest.mark.parametrize("layer", LAYERS)
def test_exactly_one_expectation_fires_on_the_defect_it_exists_for(
    layer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suites = [told_by_row(suite) for suite in load_suites(layer)]
    monkeypatch.setattr(gate, "load_suites", lambda *_: suites)
    frames = {suite.query: all_defects(suite) for suite in suites}
    results = gate.check_layer(layer, frames.__getitem__, tmp_path / "gx", tmp_path, None, False)
    fired: dict[tuple[str, str | None], set[Expectation]] = defaultdict(set)
    for result in results:
        if not result.success:
            fired[result.suite, result.batch_id].add((str(result.column_name), result.severity))
    expected = {}
    for suite in suites:
        for number, expectation in enumerate(expectations_of(suite), start=1):
            also, _ = ALSO.get((suite.name, *expectation), (set(), ""))
            expected[suite.name, str(number)] = {expectation} | also
    assert fired == expected


def test_every_expectation_has_a_defect_and_every_exception_a_reason() -> None:
    suites = {suite.name: suite for layer in LAYERS for suite in load_suites(layer)}
    planted_defects = {
        **{name: set(defects) for name, defects in DEFECTS.items()},
        "raw__batches": {column for column, _ in RAW_DEFECTS},
    }
    assert planted_defects == {
        name: {column for column, _ in expectations_of(suite)} for name, suite in suites.items()
    }
    assert set(RAW_DEFECTS) == set(expectations_of(suites["raw__batches"]))
    for (name, *expectation), (also, why) in ALSO.items():
        assert {tuple(expectation), *also} <= set(expectations_of(suites[name])), name
        assert why
