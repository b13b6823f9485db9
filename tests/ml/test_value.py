"""BG/NBD and Gamma-Gamma: the published figures, the limits of the formulas, and simulated buyers."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.value import History, Returning, Spending, TooFewBuyers, fit_returning, fit_spending
from tests.conftest import SHARED

PAPER = Returning(r=0.243, alpha=4.414, a=0.793, b=2.426, log_likelihood=-9582.4)


def cdnow() -> tuple[History, pd.Series]:
    """39 weeks of the CDNOW sample, in weeks, and what each bought in the 39 weeks that follow."""
    path = SHARED / "cdnow" / "CDNOW_sample.txt"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    rows = pd.read_csv(
        path, sep=r"\s+", names=["master", "id", "day", "discs", "dollars"], dtype={"id": str}
    )
    rows["day"] = pd.to_datetime(rows["day"].astype(str))
    daily = rows.groupby(["id", "day"], as_index=False)["dollars"].sum()
    first = daily.groupby("id")["day"].min()
    end = pd.Timestamp(dt.date(1997, 9, 30))
    before = daily[daily["day"] <= end]
    repeats = before.merge(first.rename("first"), on="id").query("day > first")
    spent = repeats.groupby("id")["dollars"].mean().reindex(first.index).fillna(0)
    history = History(
        repeats=(before.groupby("id").size() - 1).to_numpy(),
        recency=((before.groupby("id")["day"].max() - first).dt.days / 7).to_numpy(),
        age=((end - first).dt.days / 7).to_numpy(),
        value=spent.to_numpy(),
    )
    after = daily[daily["day"] > end].groupby("id").size().reindex(first.index).fillna(0)
    return history, after


def test_the_papers_parameters_come_out_of_the_papers_data() -> None:
    history, _ = cdnow()
    found = fit_returning(history)
    assert found.log_likelihood == pytest.approx(-9582.4, abs=0.1)
    for name in ("r", "alpha", "a", "b"):
        assert getattr(found, name) == pytest.approx(getattr(PAPER, name), rel=0.01), name


def test_the_notes_parameters_of_spending_come_out_of_its_data() -> None:
    history, _ = cdnow()
    found = fit_spending(history)
    # the note gives p 6.25, q 3.74, gamma 15.44 for the 946 who bought again
    assert int((history.repeats > 0).sum()) == 946
    assert (found.p, found.q, found.gamma) == pytest.approx((6.25, 3.74, 15.44), rel=0.01)


def test_what_was_foretold_is_bought() -> None:
    history, after = cdnow()
    foretold = fit_returning(history).purchases(history, 39.0)
    # the paper's own forecast lies as low: 1,653 of 1,882; who goes on at his rate so far buys too much
    as_before = history.repeats / np.maximum(history.age, 1) * 39.0
    assert foretold.sum() == pytest.approx(after.sum(), rel=0.15)
    assert np.abs(foretold - after).mean() < np.abs(as_before - after).mean()
    assert np.corrcoef(foretold, after)[0, 1] > 0.6


def test_the_formulas_by_hand() -> None:
    never = History(np.array([0]), np.array([0.0]), np.array([10.0]), np.array([0.0]))
    once = History(np.array([1]), np.array([5.0]), np.array([10.0]), np.array([30.0]))
    assert PAPER.alive(never)[0] == 1.0
    # 1 / (1 + a/b * ((alpha + 10) / (alpha + 5)) ** (r + 1))
    odds = 0.793 / 2.426 * ((4.414 + 10) / (4.414 + 5)) ** 1.243
    assert PAPER.alive(once)[0] == pytest.approx(1 / (1 + odds))
    assert PAPER.purchases(once, 0.0)[0] == pytest.approx(0.0, abs=1e-12)
    spending = Spending(p=6.25, q=3.74, gamma=15.44, log_likelihood=0.0)
    assert spending.mean_value(once)[0] == pytest.approx(6.25 * (15.44 + 30) / (6.25 + 2.74))
    # who did not come back is expected to spend what all do
    assert spending.mean_value(never)[0] == pytest.approx(6.25 * 15.44 / 2.74)


@settings(deadline=None, max_examples=60)
@given(
    repeats=st.integers(0, 500), recency=st.floats(0, 400), silence=st.floats(0, 400),
    value=st.floats(0.01, 1e6), time=st.floats(0.1, 100),
)  # fmt: skip
def test_chances_are_chances_and_silence_never_helps(
    repeats: int, recency: float, silence: float, value: float, time: float
) -> None:
    def one(more: float) -> History:
        last = recency if repeats else 0.0
        return History(
            np.array([repeats]),
            np.array([last]),
            np.array([last + silence + more]),
            np.array([value]),
        )

    now, later = PAPER.alive(one(0.0))[0], PAPER.alive(one(10.0))[0]
    assert 0 <= later <= now <= 1
    assert np.isfinite(PAPER.purchases(one(0.0), time)[0])


def test_parameters_of_simulated_buyers_are_found_again() -> None:
    rng = np.random.default_rng(7)
    n, age = 4000, 52.0
    rate = rng.gamma(0.8, 1 / 6.0, n)
    leaves = rng.beta(0.7, 2.5, n)
    repeats, recency = np.zeros(n, int), np.zeros(n)
    for i in range(n):
        at = rng.exponential(1 / rate[i])
        while at < age:
            repeats[i], recency[i] = repeats[i] + 1, at
            if rng.random() < leaves[i]:
                break
            at += rng.exponential(1 / rate[i])
    found = fit_returning(History(repeats, recency, np.full(n, age), np.zeros(n)))
    assert found.r == pytest.approx(0.8, rel=0.15)
    assert found.alpha == pytest.approx(6.0, rel=0.2)
    assert found.a / (found.a + found.b) == pytest.approx(0.7 / 3.2, rel=0.2)


def test_too_few_buyers_and_impossible_histories_are_told() -> None:
    few = History(np.ones(10), np.ones(10), np.full(10, 2.0), np.ones(10))
    with pytest.raises(TooFewBuyers, match="10 customers bought again, 50 are needed"):
        fit_returning(few)
    with pytest.raises(ValueError, match="after the moment"):
        History(np.ones(1), np.full(1, 3.0), np.full(1, 2.0), np.ones(1))
