"""Terms, weights, calibration and choice by known answers; several classes; nothing from the future."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse

from ml import features as data
from ml.competition import Candidate, Rows, choose, learn
from ml.estimators import calibration, corrected
from ml.evaluation import best_weights, macro_f1, measure, threshold
from ml.linear import Linear, _log_ratios
from ml.reasons import explain
from ml.texts import characters, terms, words
from tests.ml.conftest import ANGRY, HAPPY, PLAIN, conversations


def test_terms_of_both_languages() -> None:
    runs = ["不", "好", "吃", "不好", "好吃", "不好吃"]
    assert terms("不好吃 ok") == [*runs, "not:好", "not:吃", "not:好吃", "ok", "吃 ok"]
    english = terms("Not HELPFUL at all... #fail :( 😡 12 https://x.y &amp; sooooooo")
    assert {"not", "helpful", "not:helpful", "#fail", "fail", ":(", "😡", "_number_"} <= set(
        english
    )
    assert {"_link_", "&", "sooo", "not helpful"} <= set(english)
    assert "not:fail" not in english


def test_log_count_ratio_by_hand() -> None:
    matrix = sparse.csr_matrix(np.array([[1.0, 0, -1], [1, 1, 2], [0, 1, 0]]))
    found = _log_ratios(matrix, np.array([True, True, False]))
    # ones: 3 and 2 of 5; others: 1 and 2 of 3; the third has a negative value
    expected = [np.log(3 / 5) - np.log(1 / 3), np.log(2 / 5) - np.log(2 / 3), 1.0]
    np.testing.assert_allclose(found, expected)


def test_macro_f1_brier_and_thresholds_by_hand() -> None:
    labels = np.array([0, 0, 1, 2])
    assert macro_f1(labels, np.array([0, 1, 1, 2])) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    chances = np.array([[0.7, 0.3], [0.6, 0.4]])
    assert measure(np.array([0, 1]), chances)["brier"] == pytest.approx((0.09 + 0.36) / 2)
    rare = np.array([0, 0, 0, 1])
    weights = best_weights(rare, np.array([[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.7, 0.3]]))
    assert 0.2 < threshold(weights) < 0.3


def test_calibration_finds_how_far_chances_were_off() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (20_000, 3))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random((20_000, 1)) > true.cumsum(axis=1)).sum(axis=1)
    bold = np.exp(2 * logits + [0.0, 1.0, 0.0])
    slope, shifts = calibration(labels, bold / bold.sum(axis=1, keepdims=True))
    assert slope == pytest.approx(0.5, abs=0.03)
    np.testing.assert_allclose(corrected(bold / bold.sum(axis=1, keepdims=True), slope, shifts),
                               true, atol=0.03)  # fmt: skip


def test_the_simplest_within_noise_wins() -> None:
    rng = np.random.default_rng(1)
    base, none = rng.random(1000), np.zeros((1, 2))

    def candidate(name: str, rank: int, losses: np.ndarray) -> Candidate:
        return Candidate(name, rank, {}, {}, losses, 0.0, none, none, 1.0, (0.0, 0.0))

    simple, noisy = (
        candidate("simple", 0, base),
        candidate("noisy", 3, base + rng.normal(0, 1, 1000)),
    )
    better = candidate("better", 3, base - 0.05 + rng.normal(0, 0.1, 1000))
    assert choose([simple, candidate("same", 1, base)]).name == "simple"
    assert choose([simple, better]).name == "better"
    assert choose([noisy, simple]).name == "simple"


def as_read(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame as it comes out of a feature file."""
    return data._conversation_frame(pa.Table.from_pandas(frame))


def _three_moods() -> tuple[Rows, pd.DataFrame]:
    frame = conversations(420, seed=6)
    rng = np.random.default_rng(2)
    mood = rng.integers(0, 3, len(frame))
    pools = (ANGRY, PLAIN, HAPPY)
    frame["text"] = [str(rng.choice(pools[each])).format(n=1) for each in mood]
    frame = as_read(frame)
    inputs = data.conversation_inputs(frame)
    return Rows(inputs, mood, frame["occurred_at"], frame["conversation_key"]), inputs


def test_three_classes_are_told_with_reasons_whatever_the_order_of_rows() -> None:
    rows, inputs = _three_moods()
    mixed = rows.take(np.random.default_rng(3).permutation(len(inputs)))
    first, second = (learn(each.sorted_by_time(), 1, 0.1) for each in (rows, mixed))
    chances = first.model.predict_proba(inputs)
    np.testing.assert_array_equal(chances, second.model.predict_proba(inputs))
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert measure(rows.labels, chances, first.model.weights)["macro_f1"] > 0.95
    assert first.how.startswith("later in time")
    told = [json.loads(text) for text in explain(first.model, data.conform(inputs, first.columns))]
    assert all(1 <= len(each) <= 3 for each in told)
    assert sum("text" in {reason["input"] for reason in each} for each in told) > 0.9 * len(told)


def test_what_the_survey_said_moves_no_input_of_before_survey() -> None:
    frame = conversations(200, seed=7)
    later = frame.assign(
        comment="I hate it",
        label_satisfied=~frame["label_satisfied"].astype("boolean"),
        label_at=frame["occurred_at"] + pd.Timedelta(days=9),
        agent_name="Zoe",
    )
    before, after = (data.conversation_inputs(as_read(each)) for each in (frame, later))
    pd.testing.assert_frame_equal(before, after)
    assert not {"comment", "agent_name", "label_satisfied"} & set(before.columns)


def test_names_of_people_among_attributes_are_no_inputs_and_shifts_are() -> None:
    frame = conversations(3, seed=1)
    kept = ["Agent Shift", "Tenure Bucket"]
    names = ["Agent_name", "Supervisor", "manager", "Team Leader"]
    frame["attributes"] = json.dumps(dict.fromkeys([*kept, *names], "x"))
    frame = as_read(frame)
    assert {f"attribute: {name}" for name in kept} <= set(data.conversation_inputs(frame))
    assert not {f"attribute: {name}" for name in names} & set(data.conversation_inputs(frame))
    assert {f"attribute: {name}" for name in names} <= set(data.people_inputs(frame))


def test_texts_that_begin_late_do_not_end_a_training() -> None:
    rng = np.random.default_rng(3)
    satisfied = rng.random(400) < 0.6
    said = np.where(satisfied, "很好 thank you", "太慢了 never again")
    inputs = pd.DataFrame(
        {
            "text": pd.Series(np.where(np.arange(400) >= 360, said, None), dtype="str"),
            "channel": np.where(satisfied ^ (rng.random(400) < 0.2), "chat", "email"),
        }
    ).assign(**dict.fromkeys(("category", "language", "customer_gender", "team")))
    times = pd.Series(pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.arange(400), "h"))
    keys = pd.Series([f"c{place:04d}" for place in range(400)])
    learned = learn(Rows(inputs, satisfied.astype(int), times, keys), 1, 20)
    assert learned.spec.has_text and learned.chosen.metrics["roc_auc"] > 0.7


def test_terms_of_texts_that_say_nothing_in_common() -> None:
    for made in (words(), characters()):
        assert made.fit_transform(["", "ab", "cd"]).nnz == 0
        assert made.transform(["ab cd", ""]).nnz == 0
        plain = type(made)(**made.get_params()).fit(["ab cd"] * 3)
        assert plain.transform(["cd"]).nnz > 0


def test_a_column_that_tells_the_class_gets_a_weight_of_its_sign() -> None:
    matrix = sparse.csr_matrix(np.tile(np.eye(3), (20, 1)))
    labels = np.tile([0, 1, 2], 20)
    for is_weighted in (False, True):
        model = Linear(1.0, is_weighted=is_weighted).fit(matrix, labels)
        assert (np.argmax(model.predict_proba(matrix), axis=1) == labels).all()
        assert (np.diag(model.coef_) > 0).all()
