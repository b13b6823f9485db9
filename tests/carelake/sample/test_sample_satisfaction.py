"""Satisfaction follows from its drivers: a model can learn it, a shortcut cannot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler

if TYPE_CHECKING:
    from conftest import Written


@pytest.fixture(scope="module")
def answered(sample: Written) -> list[dict[str, Any]]:
    """Surveyed conversations by time."""
    talks = [talk for talk in sample.truth("conversations") if talk["survey_score"] is not None]
    return sorted(talks, key=lambda talk: (talk["opened_at"], talk["truth_id"]))


def later_auc(features: Any, talks: list[dict[str, Any]]) -> float:
    """Train on the earlier three quarters, return the AUC on the last."""
    satisfied = np.array([talk["survey_score"] >= 4 for talk in talks])
    split = len(talks) * 3 // 4
    model = LogisticRegression(C=2.0, solver="liblinear").fit(features[:split], satisfied[:split])
    scores = model.predict_proba(features[split:])[:, 1]
    return float(roc_auc_score(satisfied[split:], scores))


def test_answers_are_many_enough_and_mixed(sample: Written, answered: list[Any]) -> None:
    assert len(answered) >= 1_000
    assert 0.33 < len(answered) / sample.summary.conversations < 0.45
    satisfied = [talk["survey_score"] >= 4 for talk in answered]
    assert 0.55 < sum(satisfied) / len(satisfied) < 0.8
    assert {talk["survey_score"] for talk in answered} == {1, 2, 3, 4, 5}


def test_a_model_of_what_was_said_and_done_is_good(
    answered: list[dict[str, Any]],
) -> None:
    texts = [talk["customer_text"] for talk in answered]
    words = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=2, sublinear_tf=True)
    channels = OneHotEncoder(sparse_output=False).fit_transform(
        [[talk["channel"]] for talk in answered]
    )
    waits = np.array([[math.log(talk["drivers"]["wait_minutes"])] for talk in answered])
    outcomes = OneHotEncoder(sparse_output=False).fit_transform(
        [[talk["outcome"], talk["need"]] for talk in answered]
    )
    known = StandardScaler().fit_transform(np.hstack([waits * channels, channels, outcomes]))
    auc = later_auc(hstack([words.fit_transform(texts), csr_matrix(known)]).tocsr(), answered)
    assert 0.78 < auc < 0.92


def test_an_opaque_number_for_the_text_says_little(
    answered: list[dict[str, Any]],
) -> None:
    codes = [
        LabelEncoder().fit_transform([talk[column] for talk in answered])
        for column in ("customer_text", "channel")
    ]
    features = StandardScaler().fit_transform(np.column_stack(codes))
    assert later_auc(features, answered) < 0.64


def test_every_driver_pulls_its_own_way(answered: list[dict[str, Any]]) -> None:
    satisfied = np.array([talk["survey_score"] >= 4 for talk in answered], dtype=float)
    drivers = {
        name: np.array([talk["drivers"][name] for talk in answered])
        for name in ("mood", "skill", "severity", "patience")
    }
    pull = {name: float(np.corrcoef(values, satisfied)[0, 1]) for name, values in drivers.items()}
    assert pull["mood"] > 0.3
    assert pull["skill"] > 0.1
    assert pull["severity"] < -0.1
    for outcome, better in (
        ("solved_first", "solved_later"),
        ("solved_later", "reopened"),
    ):
        means = [
            np.mean([s for s, t in zip(satisfied, answered, strict=True) if t["outcome"] == word])
            for word in (outcome, better)
        ]
        assert means[0] > means[1]


def test_no_text_gives_its_label_away(answered: list[dict[str, Any]]) -> None:
    texts = [talk["customer_text"] for talk in answered if talk["customer_text"]]
    assert len(set(texts)) > 0.97 * len(texts)


def test_both_languages_are_spoken(sample: Written) -> None:
    texts = [talk["customer_text"] for talk in sample.truth("conversations")]
    chinese = sum(any("一" <= letter <= "鿿" for letter in text) for text in texts if text)
    assert 0.6 < chinese / sum(bool(text) for text in texts) < 0.8
