"""Training, gate and registry, on a made-up company with a planted signal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ml
from carelake.errors import RunFailed
from carelake.settings import Home
from ml.results import FROM_COMMENT, MODELS, SATISFACTION, SEGMENTS, Decision, TrainResult
from tests.ml.conftest import SETTINGS, conversations, customers, write_features

Trained = tuple[Home, TrainResult]
SEGMENT_CHARTS = {"silhouette_by_k", "segments"}
CHARTS = {
    "hold_out", "roc", "precision_recall", "calibration", "confusion", "learning", "importance", "candidates",
}  # fmt: skip


def decision(result: TrainResult, name: str) -> Decision:
    return next(each for each in result.decisions if each.model_name == name)


def runs(home: Home, experiment: str) -> list[Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(home.mlflow_uri, home.mlflow_uri)
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id])) if found else []


def test_first_models_beat_the_owners_recipe_and_become_champions(trained: Trained) -> None:
    home, result = trained
    assert result.promoted
    for each in result.decisions:
        assert each.decision == "promoted"
        assert each.challenger_value > each.baseline_value + 0.1
        assert each == Decision.read(home.decisions / f"{each.decision_id}.json")
    assert decision(result, SATISFACTION).challenger_value > 0.75
    assert decision(result, FROM_COMMENT).challenger_value > 0.85
    assert ml.has_champion(home) == dict.fromkeys(MODELS, True)


def test_runs_show_baseline_candidates_charts_and_digests(trained: Trained) -> None:
    home, result = trained
    from mlflow.tracking import MlflowClient

    client = MlflowClient(home.mlflow_uri, home.mlflow_uri)
    for each in result.decisions:
        found = runs(home, each.model_name)
        assert sum(run.data.tags.get("baseline") == "true" for run in found) == 1
        parent = next(run for run in found if run.info.run_id == each.run_id)
        assert parent.data.tags["data_digest"] == each.data_digest
        assert parent.data.metrics[each.metric] == pytest.approx(each.challenger_value, abs=1e-6)
        digests = {told.dataset.digest for told in parent.inputs.dataset_inputs}
        assert digests == {each.data_digest[:32]}
        assert len(parent.inputs.dataset_inputs) == (1 if each.model_name == SEGMENTS else 2)
        plots = {Path(file.path).stem for file in client.list_artifacts(each.run_id, "plots")}
        assert plots == (SEGMENT_CHARTS if each.model_name == SEGMENTS else CHARTS)
    candidates = [run for run in runs(home, SATISFACTION) if "candidate" in run.data.tags]
    assert len(candidates) == 12
    assert sum(run.data.tags["chosen"] == "true" for run in candidates) == 1


def test_a_run_says_what_more_rows_would_bring_and_which_inputs_count(trained: Trained) -> None:
    home, result = trained
    from mlflow.tracking import MlflowClient

    client = MlflowClient(home.mlflow_uri, home.mlflow_uri)
    run_id = str(decision(result, SATISFACTION).run_id)
    later = client.get_metric_history(run_id, "learning_roc_auc_later")
    sizes = [point.step for point in later]
    assert sizes == sorted(set(sizes)) and len(sizes) >= 3
    assert (
        sizes[-1] < decision(result, SATISFACTION).n_train
    )  # the hold-out and the last quarter are apart
    learned = client.get_metric_history(run_id, "learning_roc_auc_learned")
    assert [point.step for point in learned] == sizes
    # nobody does better on rows he has not seen; and waiting tells a lot from few rows on
    assert all(seen.value > new.value > 0.65 for seen, new in zip(learned, later, strict=True))
    lost = json.loads(Path(client.download_artifacts(run_id, "importance.json")).read_text())
    # waiting and tenure drive the answer, the ticket's language does not
    assert min(lost["first_reply_minutes"], lost["attribute: Tenure Bucket"]) > 0.02
    assert abs(lost.get("n_inbound", 0.0)) < 0.02


def test_hold_out_lies_later_than_everything_learned(features: Path, trained: Trained) -> None:
    from ml import features as data
    from ml.split import split_rows

    frame = data.read_labelled(features)
    labels = frame["label"].to_numpy().astype(int)
    times = data.known_times(frame)
    split = split_rows(times, frame["conversation_key"], labels, SETTINGS.random_seed)
    assert times[split.train].max() < times[split.test].min()
    assert decision(trained[1], SATISFACTION).n_test == split.test.sum()
    assert decision(trained[1], SATISFACTION).split.startswith("later in time")


def test_the_same_question_is_not_asked_twice_unless_forced(
    trained: Trained, features: Path
) -> None:
    home, first = trained
    before = len(runs(home, SATISFACTION))
    again = ml.train(home, SETTINGS, features)
    assert not again.trained and not again.promoted
    assert again.decisions == first.decisions
    assert len(runs(home, SATISFACTION)) == before


def test_two_homes_trained_on_shuffled_rows_hold_the_same_models(
    trained: Trained, features: Path, new_home: Callable[[str], Home], tmp_path: Path
) -> None:
    talks = pd.read_parquet(features / "conversations.parquet").sample(frac=1, random_state=3)
    people = pd.read_parquet(features / "customers.parquet").sample(frac=1, random_state=3)
    shuffled = write_features(tmp_path / "f00d", talks, people)
    other = new_home("other")
    ml.train(other, SETTINGS, shuffled)
    tables = []
    for home, folder in ((trained[0], features), (other, shuffled)):
        scores = ml.score(home, SETTINGS, folder)
        for path, key in (
            (scores.satisfaction_scores, "conversation_key"),
            (scores.segment_scores, "customer_key"),
        ):
            tables.append(pd.read_parquet(path).sort_values(key, ignore_index=True))
    pd.testing.assert_frame_equal(tables[0], tables[2])
    pd.testing.assert_frame_equal(tables[1], tables[3])


def test_a_worse_challenger_is_rejected_and_the_champion_stays(
    trained: Trained, features: Path, new_home: Callable[[str], Home], tmp_path: Path
) -> None:
    import shutil

    home = new_home("copy")
    shutil.copytree(trained[0].root, home.root, dirs_exist_ok=True)
    before = ml.has_champion(home)
    talks = conversations(900, seed=1)
    # The words and waits of the training rows go to the wrong conversations; later rows are as
    # they were, so the champion still does well there.
    early = talks.index[talks["occurred_at"] < pd.Timestamp("2024-03-31", tz="UTC")]
    mixed = np.random.default_rng(0).permutation(early)
    columns = ["text", "first_reply_minutes", "attributes"]
    talks.loc[early, columns] = talks.loc[mixed, columns].to_numpy()
    worse = write_features(tmp_path / "worse", talks, customers(400, seed=1))
    result = ml.train(home, SETTINGS, worse)
    verdict = decision(result, SATISFACTION)
    assert verdict.decision == "rejected"
    assert ml.has_champion(home) == before
    from ml.registry import Registry

    champion = Registry(home).champion(SATISFACTION)
    assert champion is not None and int(champion.version) == 1
    assert verdict.model_version == 2


@pytest.mark.parametrize(("count", "one_class"), [(80, False), (400, True)])
def test_too_little_to_learn_from_is_refused_and_the_champion_untouched(
    home: Home, tmp_path: Path, count: int, one_class: bool
) -> None:
    talks = conversations(count, seed=2)
    if one_class:
        talks["label_satisfied"] = talks["label_satisfied"].where(
            talks["label_satisfied"].isna(), True
        )
    people = customers(20, seed=2)
    folder = write_features(tmp_path / "few", talks, people)
    said: list[str] = []
    result = ml.train(home, SETTINGS, folder, report=said.append)
    assert [each.decision for each in result.decisions] == ["refused"] * len(MODELS)
    reason = decision(result, SATISFACTION).reason
    assert ("are satisfied" in reason) if one_class else ("60 are needed" in reason)
    assert runs(home, SATISFACTION) == []
    assert ml.has_champion(home) == dict.fromkeys(MODELS, False)
    scores = ml.score(home, SETTINGS, folder, report=said.append)
    assert scores.n_conversations == 0
    # who never ordered is told by a rule, which needs no model; the others stay together
    segments = pd.read_parquet(scores.segment_scores).set_index("customer_key")["segment_name"]
    expected = people.set_index("customer_key")["is_contact_only"]
    assert (segments == expected.map({True: "contact_only", False: "buyers"})).all()
    assert len(segments) == scores.n_customers == 20
    assert reason in scores.missing[SATISFACTION]
    assert pd.read_parquet(scores.satisfaction_scores).empty


def test_rows_without_times_are_split_at_random_and_the_run_says_so(
    home: Home, tmp_path: Path
) -> None:
    talks = conversations(500, seed=5).drop(
        columns=["occurred_at", "label_at", "attributes", "first_reply_minutes", "category"]
    )
    talks.loc[:, "customer_key"] = None
    none = customers(5, seed=1).head(0)
    result = ml.train(home, SETTINGS, write_features(tmp_path / "owner", talks, none))
    verdict = decision(result, SATISFACTION)
    assert verdict.split == f"random by key with seed {SETTINGS.random_seed}: rows have no times"
    parent = next(run for run in runs(home, SATISFACTION) if run.info.run_id == verdict.run_id)
    assert parent.data.params["split"] == parent.data.tags["split"] == "random"
    assert "rows have no times" in parent.data.tags["mlflow.note.content"]


@pytest.mark.slow
def test_registered_model_loads_in_a_fresh_process_and_takes_missing_values(
    trained: Trained,
) -> None:
    code = (
        "import mlflow.pyfunc, pandas as pd\n"
        f"mlflow.set_tracking_uri('{trained[0].mlflow_uri}')\n"
        "model = mlflow.pyfunc.load_model('models:/before_survey@champion')\n"
        "rows = pd.DataFrame([{'text': '还没有收到退款', 'channel': 'fax'}, {}])\n"
        "print(model.predict(rows).shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "(2, 2)" in done.stdout, done.stderr


def test_a_tampered_champion_is_not_loaded(trained: Trained) -> None:
    from ml.registry import Registry, UntrustedModel

    registry = Registry(trained[0])
    champion = registry.champion(SEGMENTS)
    assert champion is not None
    assert registry.load(champion).version == 1
    try:
        for file in trained[0].mlflow_artifacts.rglob("MLmodel"):
            file.write_text(file.read_text() + "\n# changed\n")
        with pytest.raises(UntrustedModel, match="not those registered"):
            registry.load(champion)
    finally:
        for file in trained[0].mlflow_artifacts.rglob("MLmodel"):
            file.write_text(file.read_text().removesuffix("\n# changed\n"))


def test_missing_feature_files_say_what_to_do(home: Home, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="build up to features first"):
        ml.train(home, SETTINGS, tmp_path / "nothing")


def test_a_damaged_feature_file_says_what_to_do(home: Home, tmp_path: Path) -> None:
    folder = write_features(tmp_path / "f", conversations(80, seed=1), customers(40, seed=1))
    file = folder / "conversations.parquet"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(RunFailed, match=r"damaged .*remove its folder and `carelake build`"):
        ml.train(home, SETTINGS, folder)


def test_a_champion_that_mlflow_lost_is_not_replaced_unless_forced(
    trained: Trained, features: Path, new_home: Callable[[str], Home]
) -> None:
    import shutil

    home = new_home("lost")
    shutil.copytree(trained[0].decisions, home.decisions)
    with pytest.raises(
        RunFailed, match=f"has lost the champion of {' and '.join(MODELS)}; put it back"
    ):
        ml.train(home, SETTINGS, features)
    assert ml.has_champion(home) == dict.fromkeys(MODELS, False)
    ml.train(home, SETTINGS, features, force=True)
    assert ml.has_champion(home) == dict.fromkeys(MODELS, True)


def test_a_training_killed_after_it_crowned_is_finished_with_the_same_version(
    trained: Trained, features: Path, new_home: Callable[[str], Home]
) -> None:
    import shutil

    from ml.registry import Registry

    home = new_home("cut-short")
    shutil.copytree(trained[0].root, home.root, dirs_exist_ok=True)
    (path,) = home.decisions.glob(f"{SEGMENTS}-*.json")
    before = Decision.read(path)
    path.unlink()
    registry = Registry(home)
    experiment = registry.client.get_experiment_by_name(SEGMENTS)
    left = registry.client.create_run(experiment.experiment_id).info.run_id
    assert ml.has_champion(home) == dict.fromkeys(MODELS, True) | {SEGMENTS: False}
    result = ml.train(home, SETTINGS, features)
    again = decision(result, SEGMENTS)
    assert again == replace(before, decided_at=again.decided_at, run_id=again.run_id)
    assert ml.has_champion(home) == dict.fromkeys(MODELS, True)
    assert registry.client.get_run(left).info.status == "KILLED"
