"""Champions are watched: a quiet month is no alarm, a shifted one is, and training is called for."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ml
from carelake.settings import Home
from ml.drift import Bins, psi
from ml.registry import Registry
from ml.results import SATISFACTION, HealthRow, TrainResult
from tests.ml.conftest import SETTINGS, conversations, customers, write_features

Trained = tuple[Home, TrainResult]


def test_the_index_is_what_the_books_say() -> None:
    # shares 0.5, 0.3, 0.2 become 0.4, 0.4, 0.2, of so many rows that half a row is nothing
    value, noise = psi([500_000, 300_000, 200_000], [400_000, 400_000, 200_000])
    by_hand = (0.4 - 0.5) * np.log(0.4 / 0.5) + (0.4 - 0.3) * np.log(0.4 / 0.3)
    assert value == pytest.approx(by_hand, abs=1e-5)
    # two millionths times the 99.9 % point of chi-squared with 2 degrees of freedom, 13.816
    assert noise == pytest.approx(2e-6 * 13.816, rel=1e-3)


@given(st.integers(0, 10_000), st.integers(120, 3_000))
def test_rows_of_the_same_sort_stay_below_what_chance_gives(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    column = pd.Series(rng.lognormal(size=20_000)).where(rng.random(20_000) < 0.9)
    now = pd.Series(rng.lognormal(size=n)).where(rng.random(n) < 0.9)
    bins = Bins.of_numbers(column)
    value, noise = psi(bins.counts, bins.count(now))
    assert value < noise * 1.6  # one in a thousand may be above it, none by far


def test_bins_count_what_is_missing_and_what_is_new() -> None:
    texts = Bins.of_texts(pd.Series(["chat", "chat", "mail", None], dtype="str"))
    assert (texts.values, texts.counts) == (["chat", "mail"], [2, 1, 0, 1])
    assert texts.count(pd.Series(["fax", None, "mail"], dtype="str")) == [0, 1, 1, 1]
    numbers = Bins.of_numbers(pd.Series([1.0, 2.0, 2.0, 3.0, np.nan]))
    assert sum(numbers.counts) == 5 and numbers.counts[-1] == 1
    assert Bins(**texts.as_json()) == texts


def newer(kind: str) -> pd.DataFrame:
    """The company four months on: the next 900 conversations, as before or shifted."""
    before = conversations(900, seed=1)
    after = conversations(900, seed=9)
    for name in ("opened_at", "occurred_at", "label_at"):
        after[name] = after[name] + pd.Timedelta(days=125)
    if kind == "slow":  # a team that is overrun: seven times the wait, in one new channel
        after["first_reply_minutes"] *= 7
        after["channel"] = np.where(np.arange(900) % 2 == 0, "social", after["channel"])
    if kind == "turned":  # what pleased customers no longer does
        after["label_satisfied"] = ~after["label_satisfied"]
    return pd.concat([before, after], ignore_index=True)


@pytest.fixture
def home(trained: Trained, tmp_path: Path) -> Home:
    copy = Home(tmp_path / "copy")
    shutil.copytree(trained[0].root, copy.root)
    # artifacts are named by their full path: reports go to the copy's runs, files to the original's
    return copy


def watched(home: Home, kind: str, said: list[str]) -> list[HealthRow]:
    folder = write_features(home.root / kind, newer(kind), customers(400, seed=1))
    settings = SETTINGS.model_copy(
        update={"model_health": SETTINGS.model_health.model_copy(update={"window_days": 90})}
    )
    scored = ml.score(home, settings, folder)
    first = ml.watch(home, settings, folder, scored, report=said.append)
    lines = len(said)
    assert ml.watch(home, settings, folder, scored, report=said.append) == first
    assert len(said) == lines  # told once
    return [row for row in first if row.model_name == SATISFACTION]


@pytest.mark.slow
def test_a_quiet_month_calls_for_nothing(home: Home) -> None:
    rows = watched(home, "quiet", [])
    by_measure = {(row.measure, row.part, row.part_value): row for row in rows}
    assert by_measure["roc_auc", "all", ""].n > 300
    assert {row.part_value for row in rows if row.part == "channel"} == {"chat", "email", "phone"}
    assert {row.part_value for row in rows if row.part == "language"} >= {"en", "zh"}
    assert not [row for row in rows if row.state == "act"]
    assert by_measure["shift_of_scores", "all", ""].state == "ok"
    assert len({row.health_id for row in rows}) == len(rows)


@pytest.mark.slow
def test_shifted_inputs_are_told_by_name_with_a_report(home: Home) -> None:
    said: list[str] = []
    rows = watched(home, "slow", said)
    shifted = {
        row.part_value for row in rows if row.measure == "shift_of_input" and row.state == "act"
    }
    assert {"first_reply_minutes", "channel"} <= shifted
    assert not shifted & {"n_inbound", "category", "attribute: Tenure Bucket"}
    (scores,) = [row for row in rows if row.measure == "shift_of_scores"]
    assert scores.state == "act" and scores.value > 0.25 > scores.reference
    assert any(
        line.startswith("before_survey: act: shift_of_input minutes to first reply")
        for line in said
    )
    run = str(Registry(home).champion(SATISFACTION).run_id)
    client = Registry(home).client
    day = pd.Timestamp(rows[0].as_of).date().isoformat()
    kept = {file.path for file in client.list_artifacts(run, "health")}
    assert {f"health/{day}.md", f"health/{day}.png"} <= kept
    text = Path(client.download_artifacts(run, f"health/{day}.md")).read_text(encoding="utf-8")
    assert "| shift_of_input | input | first_reply_minutes |" in text


@pytest.mark.slow
def test_answers_that_turned_are_told_while_inputs_look_the_same(home: Home) -> None:
    rows = watched(home, "turned", [])
    by_measure = {(row.measure, row.part): row for row in rows if row.part == "all"}
    lost = by_measure["roc_auc", "all"]
    assert lost.state == "act" and lost.upper_value < 0.5 < lost.reference
    assert by_measure["calibration_gap", "all"].state in ("warn", "act")
    assert by_measure["shift_of_scores", "all"].state == "ok"


@pytest.mark.slow
def test_a_model_of_an_earlier_carelake_is_left_alone(home: Home) -> None:
    said: list[str] = []
    folder = write_features(home.root / "f", newer("quiet"), customers(400, seed=1))
    client = Registry(home).client
    champion = Registry(home).champion(SATISFACTION)
    place = client.get_run(str(champion.run_id)).info.artifact_uri
    artifact = Path(str(place).removeprefix("file://")) / "reference.json"
    kept = artifact.read_bytes()
    artifact.unlink()
    try:
        rows = ml.watch(
            home, SETTINGS, folder, ml.score(home, SETTINGS, folder), report=said.append
        )
    finally:
        artifact.write_bytes(kept)
    assert SATISFACTION not in {row.model_name for row in rows}
    assert said[0].startswith("before_survey: not watched")
