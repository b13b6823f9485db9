"""Features, segments, scores and reasons."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ml
from carelake.settings import Home
from ml import features as data
from ml.results import FROM_COMMENT, SATISFACTION, SENTIMENT, TrainResult
from tests.ml.conftest import SETTINGS, conversations, customers, write_features

Trained = tuple[Home, TrainResult]
CLASS_MODELS = (SATISFACTION, FROM_COMMENT, SENTIMENT)


def test_every_conversation_and_every_customer_gets_a_score(
    trained: Trained, features: Path
) -> None:
    scores = ml.score(trained[0], SETTINGS, features)
    talks = pd.read_parquet(features / "conversations.parquet")
    people = pd.read_parquet(features / "customers.parquet")
    satisfaction = pd.read_parquet(scores.satisfaction_scores)
    segments = pd.read_parquet(scores.segment_scores)
    assert set(satisfaction["conversation_key"]) == set(talks["conversation_key"])
    assert set(segments["customer_key"]) == set(people["customer_key"])
    assert len(satisfaction) == len(talks) and len(segments) == len(people)
    assert satisfaction["p_satisfied"].astype(float).between(0, 1).all()
    assert set(satisfaction["features_digest"]) == {"f00d"}
    silent = set(people.loc[people["is_contact_only"], "customer_key"])
    outside = segments[segments["segment_name"] == "contact_only"]
    assert set(outside["customer_key"]) == silent and set(outside["segment_id"]) == {0}
    assert ml.score(trained[0], SETTINGS, features).reused


def test_chunks_give_the_scores_of_the_whole(
    trained: Trained, features: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from ml import scoring

    whole = pd.read_parquet(ml.score(trained[0], SETTINGS, features).satisfaction_scores)
    copy = write_features(
        tmp_path / "beef",
        pd.read_parquet(features / "conversations.parquet"),
        pd.read_parquet(features / "customers.parquet"),
    )
    monkeypatch.setattr(scoring, "CHUNK_ROWS", 97)
    parts = pd.read_parquet(ml.score(trained[0], SETTINGS, copy).satisfaction_scores)
    columns = ["conversation_key", "p_satisfied", "reasons"]
    pd.testing.assert_frame_equal(whole[columns], parts[columns])


def test_conversations_with_a_comment_are_read_alone_as_among_the_others(
    features: Path, tmp_path: Path
) -> None:
    talks = pd.read_parquet(features / "conversations.parquet")
    talks.loc[talks.index[:6], "comment"] = ["", "  ", "\n", "\u3000", None, " ok "]
    people = pd.read_parquet(features / "customers.parquet")
    blank = write_features(tmp_path / "blank", talks, people)
    alone = pd.concat(data.conversation_chunks(blank, 200, only_commented=True), ignore_index=True)
    among = pd.concat(map(data.commented, data.conversation_chunks(blank, 200)), ignore_index=True)
    pd.testing.assert_frame_equal(alone, among)
    assert " ok " in set(alone["text"]) and 100 < len(alone) < len(talks)
    without = write_features(tmp_path / "none", talks.drop(columns="comment"), people)
    assert sum(map(len, data.conversation_chunks(without, 200, only_commented=True))) == 0


def test_reasons_name_what_was_planted(trained: Trained, features: Path) -> None:
    scores = pd.read_parquet(ml.score(trained[0], SETTINGS, features).satisfaction_scores)
    talks = pd.read_parquet(features / "conversations.parquet")
    reasons = scores["reasons"].map(json.loads)
    assert reasons.map(len).between(1, 3).all()
    tops = reasons.map(lambda each: each[0]["input"]).value_counts()
    assert set(tops.index[:3]) == {"first_reply_minutes", "attribute: Tenure Bucket", "text"}
    assert "text" in tops.index
    slow = reasons[talks["first_reply_minutes"] > 300].explode().dropna()
    waits = [each for each in slow if each["input"] == "first_reply_minutes"]
    assert waits and all(each["words"].endswith("lowers it") for each in waits)
    assert all(re.fullmatch(r"首次回复分钟数 [\d,.]+，拉低", each["words_zh"]) for each in waits)


def test_chances_beside_reasons_are_those_the_model_gives(trained: Trained, features: Path) -> None:
    from ml.reasons import reader_of, told
    from ml.registry import Registry

    registry = Registry(trained[0])
    for name in CLASS_MODELS:
        version = registry.champion(name)
        assert version is not None
        champion = registry.load(version)
        frame = (
            data.text_inputs(data.read_sentiment(features)["text"])
            if name == SENTIMENT
            else data.conversation_inputs(data.read_labelled(features))
        )
        inputs = data.conform(frame.head(200), champion.columns)
        chances, _ = told(champion.model, inputs, reader_of(champion.model))
        assert np.array_equal(chances, champion.model.predict_proba(inputs))


def test_segments_are_the_planted_groups_in_order_of_value(
    trained: Trained, features: Path
) -> None:
    segments = pd.read_parquet(ml.score(trained[0], SETTINGS, features).segment_scores)
    people = pd.read_parquet(features / "customers.parquet")
    joined = people.merge(segments, on="customer_key").query("segment_id > 0")
    values = joined.groupby("segment_id")["order_value"].mean()
    assert list(values.index) == [1, 2, 3, 4]
    assert values.is_monotonic_decreasing
    names = joined.groupby("segment_id")["segment_name"].first()
    assert names.is_unique and names[1] == "champions"
    assert {"one_time", "promising"} <= set(names)


def test_satisfaction_age_and_gender_do_not_move_segments(features: Path) -> None:
    from ml import features as data
    from ml.segmentation import assign, segment_customers

    people = data.read_customers(features)
    other = people.assign(
        mean_satisfaction=1 - people["mean_satisfaction"], n_surveys=9.0, age=30.0, gender=None
    )
    both = [
        assign(segment_customers(frame, 1).pipeline, frame[frame["is_contact_only"] == 0])
        for frame in (people, other)
    ]
    np.testing.assert_array_equal(both[0], both[1])


def test_segment_names_stay_unique_when_the_rule_gives_one_twice() -> None:
    from ml.segmentation import PROFILE, segment_names

    profile = pd.DataFrame([dict.fromkeys(PROFILE, 5.0)] * 4)
    profile["n_conversations_90d"] = [9.0, 5.0, 5.0, 5.0]
    names = segment_names(profile, profile)
    assert len(set(names)) == 4
    assert names[0] == "loyal_in_touch" and names[3] == "loyal"


def test_attributes_become_categories_numbers_or_nothing() -> None:
    from ml.features import choose_inputs, conversation_inputs

    frame = conversations(300, seed=4)
    frame["attributes"] = [
        json.dumps(
            {"Shift": "早班" if n % 3 else "夜班", "price": str(n * 1.5), "id": f"T-{n}", "x": [1]}
        )
        for n in range(300)
    ]
    for column in (
        "team",
        "customer_gender",
        "n_outbound",
        "resolution_minutes",
        "prior_satisfaction",
        "n_prior_conversations",
        "n_prior_orders",
        "prior_order_value",
        "customer_age",
    ):
        frame[column] = np.nan
    frame["is_reopened"] = frame["is_reopened"].astype(float)
    frame = frame.replace({None: np.nan})
    spec = choose_inputs(conversation_inputs(frame))
    assert "attribute: Shift" in spec.categories
    assert "attribute: price" in spec.numbers
    assert not any("id" in name for name in spec.categories if name.startswith("attribute"))
    assert "agent_name" not in spec.columns
    assert "handle_seconds" not in spec.columns


def test_equal_moments_stay_on_one_side() -> None:
    from ml.split import split_rows

    days = pd.Series(
        pd.to_datetime(["2024-01-01"] * 5 + ["2024-01-02"] * 9 + ["2024-01-03"] * 6, utc=True)
    )
    keys = pd.Series([f"k{n}" for n in range(20)])
    labels = np.array([0, 1] * 10)
    split = split_rows(days, keys, labels, 1)
    assert split.test.tolist() == [False] * 14 + [True] * 6
    at_once = split_rows(pd.Series([days[0]] * 20), keys, labels, 1)
    assert at_once.kind == "random"


def test_weighted_auc_equals_the_plain_one_and_noise_is_no_gain() -> None:
    from sklearn.metrics import roc_auc_score

    from ml.evaluation import auc_gain, aucs_by_weights

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    good = (labels * 0.8 + rng.normal(0, 0.6, 400)).round(1)
    noise = rng.normal(0, 1, 400)
    ones = np.ones((1, 400))
    assert aucs_by_weights(labels, good, ones)[0] == pytest.approx(roc_auc_score(labels, good))
    assert auc_gain(labels, good, noise, 1).is_real
    assert not auc_gain(labels, good, good, 1).is_real
    assert not auc_gain(labels, noise, good, 1).is_real


def test_owner_files_without_anything_but_text_and_channel_train(
    tmp_path: Path,
) -> None:
    from ml import features as data
    from ml.satisfaction import train_satisfaction

    talks = conversations(300, seed=8)[["conversation_key", "channel", "text", "label_satisfied"]]
    folder = write_features(tmp_path / "bare", talks, customers(3, seed=1)[["customer_key"]])
    frame = data.read_labelled(folder)
    trained = train_satisfaction(frame, data.conversation_inputs(frame), 1, 20)
    assert trained.spec.columns == ["text", "channel", "text_length"]
    assert trained.metrics["roc_auc"] > 0.55


def test_a_large_vocabulary_is_stored_in_one_piece() -> None:
    import io
    import zipfile

    import skops.io

    from ml.registry import TRUSTED_TYPES
    from ml.texts import Terms

    texts = [f"word{n} 订单{n}号" for n in range(3000)]
    terms = Terms(analyzer="char_wb", ngram_range=(2, 4)).fit(texts)
    stored = skops.io.dumps(terms)
    assert len(zipfile.ZipFile(io.BytesIO(stored)).namelist()) < 10
    again = skops.io.loads(stored, trusted=list(TRUSTED_TYPES))
    assert again.vocabulary_ == terms.vocabulary_
    assert (again.transform(texts) != terms.transform(texts)).nnz == 0


CSAT = Path(__file__).parents[3] / "shared/data/csat_shopzilla/csat_shopzilla_dev.csv.gz"


@pytest.mark.slow
@pytest.mark.skipif(not CSAT.exists(), reason="the real survey data is not at hand")
def test_real_support_contacts_reach_the_reference(home: Home, tmp_path: Path) -> None:
    rows = pd.read_csv(CSAT)
    reported, replied = (
        pd.to_datetime(rows[name], format="%d/%m/%Y %H:%M", utc=True)
        for name in ("Issue_reported at", "issue_responded")
    )
    wait = (replied - reported).dt.total_seconds() / 60
    talks = pd.DataFrame(
        {
            "conversation_key": rows["Unique id"],
            "occurred_at": replied,
            "channel": rows["channel_name"],
            "category": rows["category"],
            "hour_of_day": reported.dt.hour,
            "day_of_week": reported.dt.day_of_week + 1,
            "first_reply_minutes": wait.where(wait >= 0),
            "attributes": [
                json.dumps(row)
                for row in rows[["Sub-category", "Tenure Bucket", "Agent Shift"]].to_dict("records")
            ],
            "label_satisfied": rows["CSAT Score"] >= 4,
            "label_at": replied,
        }
    )
    folder = write_features(tmp_path / "csat", talks, customers(3, seed=1))
    verdict = ml.train(home, SETTINGS, folder, report=print).decisions[0]
    print(f"ROC AUC {verdict.challenger_value}, owner's recipe {verdict.baseline_value}")
    assert verdict.promoted
    assert verdict.challenger_value >= 0.694


def test_comments_are_scored_where_there_are_any_and_nowhere_else(
    trained: Trained, features: Path
) -> None:
    found = ml.score(trained[0], SETTINGS, features)
    scores = pd.read_parquet(found.comment_scores).set_index("conversation_key")
    talks = pd.read_parquet(features / "conversations.parquet").set_index("conversation_key")
    spoke = talks.index[talks["comment"].notna()]
    assert set(scores.index) == set(spoke) and found.n_comments == len(spoke) > 100
    assert set(scores["model_name"]) == {"from_comment"}
    reasons = scores["reasons"].map(json.loads)
    assert reasons.map(len).between(1, 3).all()
    told = reasons.map(lambda each: {reason["input"] for reason in each})
    assert told.map(lambda inputs: bool({"text", "text_length"} & inputs)).mean() > 0.8
