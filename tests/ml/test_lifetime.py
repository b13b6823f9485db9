"""What customers will still buy: from feature files to `ml.value_scores`."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from carelake.settings import Home
from carelake.warehouse.schema import create_recorded_tables
from ml.lifetime import SCHEMA, history_of, score_values
from ml.value import History, fit_returning, fit_spending


def features(folder: Path, name: str = "f1", customers: int = 400) -> Path:
    """Buyers with a rate and a worth of their own, and some who never bought."""
    rng = np.random.default_rng(4)
    first = rng.integers(30, 700, customers)
    repeats, last = np.zeros(customers, int), first.copy()
    for number, (age, rate, leaves) in enumerate(
        zip(first, rng.gamma(0.8, 0.02, customers), rng.beta(0.8, 2.5, customers), strict=True)
    ):
        day = 0.0
        while rng.random() > leaves and (day := day + rng.exponential(1 / rate) + 1) < age:
            repeats[number] += 1
            last[number] = age - int(day)
    worth = [
        Decimal(int(x)) if n else None
        for x, n in zip(rng.gamma(3, 40, customers) + 1, repeats, strict=True)
    ]
    rows = pa.table(
        {
            "customer_key": [f"k{number:04d}" for number in rng.permutation(customers)] + ["none"],
            "n_order_days": pa.array([*(repeats + 1), 0], pa.int32()),
            "days_since_first_order": pa.array([*first, None], pa.int32()),
            "days_since_last_order": pa.array([*last, None], pa.int32()),
            "repeat_order_value": pa.array([*worth, None], pa.decimal128(18, 2)),
        }
    )  # fmt: skip
    path = folder / name
    path.mkdir()
    pq.write_table(rows, path / "customers.parquet")
    return path


def test_scores_are_the_models_answers_rounded_once_and_the_same_each_time(tmp_path: Path) -> None:
    folder, told = features(tmp_path), list[str]()
    path = score_values(Home(tmp_path / "one"), folder, report=told.append)
    scores = pq.read_table(path)
    assert told == [] and scores.schema.equals(SCHEMA)
    buyers = pq.read_table(folder / "customers.parquet").slice(0, 400).sort_by("customer_key")
    assert scores["customer_key"] == buyers["customer_key"]  # who never bought has no row
    history = history_of(buyers)
    returning, spending = fit_returning(history), fit_spending(history)
    alive = np.array([float(value) for value in scores["p_alive"].to_pylist()])
    assert alive == pytest.approx(returning.alive(history), abs=5.1e-7)
    value = np.array([float(value) for value in scores["expected_value_90d"].to_pylist()])
    expected = returning.purchases(history, 90 / 7) * spending.mean_value(history)
    assert value == pytest.approx(expected, abs=0.0051)
    again = score_values(Home(tmp_path / "two"), folder, report=told.append)
    assert again.read_bytes() == path.read_bytes()
    stamp = path.stat().st_mtime_ns
    assert (
        score_values(Home(tmp_path / "one"), folder, report=told.append).stat().st_mtime_ns == stamp
    )


def test_too_few_who_came_back_give_no_scores_and_a_reason(tmp_path: Path) -> None:
    told = list[str]()
    path = score_values(
        Home(tmp_path / "home"), features(tmp_path, customers=40), report=told.append
    )
    assert pq.read_table(path).num_rows == 0
    assert len(told) == 1 and told[0].startswith("customer_value: no scores, ")


def test_the_file_fits_the_recorded_table(tmp_path: Path) -> None:
    import duckdb

    path = score_values(Home(tmp_path / "home"), features(tmp_path), report=lambda _: None)
    with duckdb.connect() as con:
        create_recorded_tables(con)
        con.execute(f"insert into ml.value_scores by name select * from '{path}'")
        assert con.execute("select count(*), count(p_alive) from ml.value_scores").fetchone() == (
            400,
            400,
        )


def test_where_all_leave_alike_the_answer_is_that_of_one_chance_to_leave() -> None:
    """The two parameters of leaving then grow without end; the closed form needs their ratio alone."""
    rng = np.random.default_rng(9)
    age = rng.integers(10, 100, 3000).astype(float)
    repeats, recency = np.zeros(3000), np.zeros(3000)
    for number, (weeks, rate) in enumerate(zip(age, rng.gamma(0.7, 0.5, 3000), strict=True)):
        week = 0.0
        while rng.random() > 0.07 and (week := week + rng.exponential(1 / rate)) < weeks:
            repeats[number] += 1
            recency[number] = week
    history = History(repeats, recency, age, np.zeros(3000))
    found = fit_returning(history)
    assert found.a / (found.a + found.b) == pytest.approx(0.07, rel=0.1)
    chance = found.a / (found.a + found.b)
    scale = found.alpha + age
    expected = (
        (1 - (scale / (scale + chance * 13)) ** (found.r + repeats)) / chance * found.alive(history)
    )
    assert found.purchases(history, 13) == pytest.approx(expected, rel=0.06)
