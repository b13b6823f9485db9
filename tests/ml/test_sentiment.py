"""`sentiment`: three classes, two sorts of labels, and only new texts are scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import ml
from carelake.settings import Home
from ml import api
from ml.results import SENTIMENT, Decision, TrainResult
from tests.ml.conftest import (
    ANGRY,
    HAPPY,
    SETTINGS,
    conversations,
    customers,
    texts,
    write_features,
)

Trained = tuple[Home, TrainResult]


def decision(result: TrainResult) -> Decision:
    return next(each for each in result.decisions if each.model_name == SENTIMENT)


def only_texts(folder: Path, said: pd.DataFrame | None) -> Path:
    """Features of a company of which nothing else can be learned."""
    talks = conversations(30, seed=5).assign(label_satisfied=pd.array([pd.NA] * 30, "boolean"))
    return write_features(folder, talks, customers(3, seed=1), said)


def scored(home: Home, tmp_path: Path, said: list[str]) -> pd.DataFrame:
    source, target = tmp_path / "texts.parquet", tmp_path / "scores.parquet"
    frame = pd.DataFrame({"text_hash": np.arange(len(said), dtype="uint64"), "text": said})
    frame.to_parquet(source, index=False)
    assert api.score_texts(home, source, target) == len(said)
    return pq.read_table(target).to_pandas()


def test_texts_of_both_languages_are_told_with_chances_and_words(
    trained: Trained, tmp_path: Path
) -> None:
    home, result = trained
    taken = decision(result)
    assert (taken.decision, taken.metric) == ("promoted", "macro_f1")
    assert taken.challenger_value > taken.baseline_value + 0.2
    found = scored(home, tmp_path, [HAPPY[0], HAPPY[3], ANGRY[0], ANGRY[3], "订单77已经发货"])
    assert found["sentiment"].tolist() == ["positive"] * 2 + ["negative"] * 2 + ["neutral"]
    chances = found[["p_negative", "p_neutral", "p_positive"]].astype(float).to_numpy()
    assert np.abs(chances.sum(axis=1) - 1).max() < 1e-5
    words = [json.loads(each) for each in found["words"]]
    assert all(1 <= len(each) <= 3 for each in words)
    assert any("thank" in word or "much" in word for word in words[0])
    assert all(word in ANGRY[3] for word in words[3])  # as the customer wrote them
    assert api.sentiment_champion(home) == (
        found["model_version"].iloc[0],
        found["model_digest"].iloc[0],
    )


def test_a_text_has_the_same_score_alone_and_among_others(trained: Trained, tmp_path: Path) -> None:
    home, _ = trained
    said = texts(60, seed=3)["text"].tolist()
    together = scored(home, tmp_path, said)
    alone = pd.concat([scored(home, tmp_path, [each]) for each in said[:5]], ignore_index=True)
    columns = ["sentiment", "p_negative", "p_neutral", "p_positive", "words"]
    pd.testing.assert_frame_equal(together[columns].head(5), alone[columns])


@pytest.mark.slow
def test_labels_of_messages_are_judged_alone_where_they_are_enough(
    home: Home, tmp_path: Path
) -> None:
    said = texts(800, seed=4, told_by=("message", "survey"))
    # remarks here say nothing of how a message sounds: judged by those too, no model would be any good
    remarks = said["told_by"] == "survey"
    said.loc[remarks, "sentiment"] = np.random.default_rng(1).permutation(
        said[remarks]["sentiment"]
    )
    result = ml.train(home, SETTINGS, only_texts(tmp_path / "both", said))
    from mlflow.tracking import MlflowClient

    run = MlflowClient(home.mlflow_uri, home.mlflow_uri).get_run(str(decision(result).run_id))
    metrics = run.data.metrics
    assert run.data.tags["judged_on"] == "message"
    assert decision(result).n_test == metrics["n_message"] == metrics["n"] > 80
    assert metrics["macro_f1"] == metrics["macro_f1_message"] > metrics["macro_f1_survey"] + 0.2


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (None, "0 texts with a known sentiment (none of a kind is enough), 60 of two kinds"),
        (texts(58, seed=2), "58 texts with a known sentiment, 60 are needed"),
        (texts(200, seed=2).assign(sentiment="positive"), "200 texts with a known sentiment (200 positive)"),
    ],
)  # fmt: skip
def test_without_enough_to_learn_from_there_is_no_model_and_a_reason(
    new_home: Callable[[str], Home], tmp_path: Path, said: pd.DataFrame | None, reason: str
) -> None:
    home = new_home("few")
    folder = only_texts(tmp_path / "few", said)
    taken = decision(ml.train(home, SETTINGS, folder))
    assert taken.decision == "refused"
    assert taken.reason.startswith(reason)
    assert api.sentiment_champion(home) is None
    assert SENTIMENT in ml.score(home, SETTINGS, folder).missing


@pytest.mark.slow
def test_a_company_that_knows_no_neutral_texts_has_a_model_of_two_sentiments(
    home: Home, tmp_path: Path
) -> None:
    said = texts(300, seed=6)
    said = said[said["sentiment"] != "neutral"]
    result = ml.train(home, SETTINGS, only_texts(tmp_path / "two", said))
    assert decision(result).decision == "promoted"
    found = scored(home, tmp_path, [HAPPY[0], ANGRY[0]])
    assert found["sentiment"].tolist() == ["positive", "negative"]
    assert (found["p_neutral"] == 0).all()
    assert all(json.loads(each) for each in found["words"])


@pytest.mark.slow
def test_champion_and_challenger_are_compared_and_the_gate_says_no_to_noise(
    trained: Trained, features: Path, home: Home, tmp_path: Path
) -> None:
    first = texts(400, seed=1)
    more = pd.concat([first, texts(60, seed=8).assign(told_at=first["told_at"].max())])
    ml.train(home, SETTINGS, only_texts(tmp_path / "one", first))
    folder = only_texts(tmp_path / "two", more)
    second = decision(ml.train(home, SETTINGS, folder))
    assert second.champion_value is not None
    assert second.decision == "rejected"  # as good, and not better beyond noise
    told = api.compare(home, SETTINGS, folder, SENTIMENT)
    assert {each.metric for each in told.measures} == {
        "roc_auc", "macro_f1", "accuracy", "brier", "log_loss",
    }  # fmt: skip
    assert told.n > 20


@pytest.mark.slow
def test_what_came_since_is_watched_and_a_turned_world_calls_for_training(
    home: Home, tmp_path: Path
) -> None:
    first = texts(400, seed=1)
    ml.train(home, SETTINGS, only_texts(tmp_path / "then", first))
    later = texts(300, seed=9)
    later["told_at"] += pd.Timedelta(days=125)
    turned = later.assign(
        sentiment=later["sentiment"].map({"negative": "positive", "positive": "negative"})
    ).fillna({"sentiment": "neutral"})
    states = {}
    for name, new in (("quiet", later), ("turned", turned)):
        folder = only_texts(tmp_path / name, pd.concat([first, new]))
        rows = ml.watch(home, SETTINGS, folder, ml.score(home, SETTINGS, folder))
        states[name] = {
            row.measure: row for row in rows if row.model_name == SENTIMENT and row.part == "all"
        }
    assert states["quiet"]["macro_f1"].state == "ok"
    assert states["turned"]["macro_f1"].state == "act"
    assert states["turned"]["macro_f1"].n == 300
