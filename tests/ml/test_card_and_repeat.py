"""The model card tells what was measured, and an old run comes out the same when it is repeated."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ml
from carelake.errors import ConfigError, RunFailed
from carelake.setting_groups.company import Costs
from carelake.settings import Home, ModelSettings, Settings
from ml import making
from ml.card import calibration_words
from ml.own import read_own
from ml.registry import Registry, origin
from ml.results import MODELS, SATISFACTION, SEGMENTS, Decision, TrainResult
from tests.ml.conftest import SETTINGS, conversations

Trained = tuple[Home, TrainResult]


def decision(result: TrainResult, name: str) -> Decision:
    return next(each for each in result.decisions if each.model_name == name)


def card(home: Home, run_id: str | None) -> str:
    folder = Registry(home).client.download_artifacts(str(run_id), "model_card.md")
    return Path(folder).read_text(encoding="utf-8")


def table(text: str, title: str) -> pd.DataFrame:
    """The first table below a heading."""
    part = text.split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in part.splitlines()
        if line.startswith("|")
    ]
    return pd.DataFrame(lines[2:], columns=lines[0])


def test_a_card_tells_data_figures_reasons_limits_and_how_to_repeat(trained: Trained) -> None:
    home, result = trained
    verdict = decision(result, SATISFACTION)
    text = card(home, verdict.run_id)
    rows = table(text, "Data").set_index("")
    assert rows.loc["trained on", "rows"] == f"{verdict.n_train:,}"
    assert rows.loc["judged on", "rows"] == f"{verdict.n_test:,}"
    assert rows.loc["trained on", "until"] < rows.loc["judged on", "from"]
    measures = table(text, "Measures on the hold-out").set_index("measure")
    value, interval = measures.loc["ROC AUC", ["value", "95 % interval"]]
    assert float(value) == pytest.approx(verdict.challenger_value, abs=5e-4)
    low, high = map(float, interval.split(" to "))
    assert low < verdict.challenger_value < high
    groups = table(text, "By channel and language")
    # every row has a channel and a language, but for those without text
    counts = pd.to_numeric(groups["rows"]).groupby(groups.iloc[:, 0]).sum()
    assert counts["channel"] == verdict.n_test
    assert sorted(groups.iloc[:, 1]) == sorted(["chat", "email", "en", "phone", "zh"])
    assert "minutes to first reply" in text and "attribute: Tenure Bucket" in text
    assert "They would add" in text
    candidates = table(text, "Why this candidate")
    assert len(candidates) == 12 and candidates["candidate"].str.startswith("**").sum() == 1
    assert verdict.data_digest in text and verdict.reason in text
    assert f"`carelake train --from-run {verdict.run_id}`" in text
    assert "## Limits" in text and "(plots/calibration.png)" in text
    version = Registry(home).client.get_model_version(SATISFACTION, "1")
    assert "model_card.md" in version.description and len(version.description) < len(text) / 2


def test_the_card_of_segments_names_each_with_its_size(trained: Trained, features: Path) -> None:
    home, result = trained
    text = card(home, decision(result, SEGMENTS).run_id)
    sizes = pd.to_numeric(table(text, "Segments")["customers"])
    people = pd.read_parquet(features / "customers.parquet")
    assert sizes.sum() == (~people["is_contact_only"]).sum()
    assert "satisfaction, age and gender" in text


def test_a_repeated_run_gives_the_same_model_and_decides_nothing(
    trained: Trained, features: Path, tmp_path: Path
) -> None:
    home = Home(tmp_path / "copy")
    shutil.copytree(trained[0].root, home.root)
    run_id = str(decision(trained[1], SEGMENTS).run_id)
    before = [row.model_digest for row in ml.versions(home)]
    again = ml.repeat_run(home, run_id)
    assert again.is_same and again.run_id != run_id
    assert again.model_digest in before
    assert [row.model_digest for row in ml.versions(home)] == before
    told = Registry(home).client.get_run(again.run_id).data.tags
    assert told["repeats"] == run_id and told["model_digest"] == again.model_digest


@pytest.mark.slow
def test_every_model_repeats_from_files_kept_after_newer_features_came(
    trained: Trained, tmp_path: Path
) -> None:
    home = Home(tmp_path / "copy")
    shutil.copytree(trained[0].root, home.root)
    for name in MODELS:
        assert ml.repeat_run(home, str(decision(trained[1], name).run_id)).is_same, name


def test_what_keeps_a_run_from_being_repeated_is_told(trained: Trained, tmp_path: Path) -> None:
    home = Home(tmp_path / "copy")
    shutil.copytree(trained[0].root, home.root)
    run_id = str(decision(trained[1], SATISFACTION).run_id)
    client = Registry(home).client
    with pytest.raises(ConfigError, match="run 'nobody' is not in MLflow"):
        ml.repeat_run(home, "nobody")
    experiment = client.get_run(run_id).info.experiment_id
    child = next(
        run
        for run in client.search_runs([experiment])
        if run.data.tags.get("mlflow.parentRunId") == run_id
    )
    with pytest.raises(ConfigError, match=f"made no model; take the run above it, {run_id}"):
        ml.repeat_run(home, child.info.run_id)
    (kept,) = home.kept_features.iterdir()
    conversations(900, seed=5).to_parquet(kept / "conversations.parquet", index=False)
    with pytest.raises(RunFailed, match="holds other rows than the run was trained on"):
        ml.repeat_run(home, run_id)
    shutil.rmtree(kept)
    with pytest.raises(RunFailed, match="its feature files are gone .*put them back from a copy"):
        ml.repeat_run(home, run_id)
    for tag, message in (("libraries", "was trained with other 1.0, here are"),
                         ("code_version", "was trained by other code")):  # fmt: skip
        client.set_tag(run_id, tag, "other 1.0")
        with pytest.raises(RunFailed, match=message):
            ml.repeat_run(home, run_id)


def test_stated_costs_set_the_threshold_and_nothing_else(features: Path, home: Home) -> None:
    rows = making.labelled_rows(SATISFACTION, SETTINGS, features)
    costs = Costs(missed=5, needless=1)
    stated = Settings(ml=ModelSettings(time_budget_seconds=20, costs=costs))
    plain, priced = (
        making.train(SATISFACTION, rows, each, read_own(home, None)) for each in (SETTINGS, stated)
    )
    np.testing.assert_array_equal(plain.chances, priced.chances)
    assert priced.threshold == pytest.approx(5 / 6) != pytest.approx(plain.threshold)
    satisfied, told = priced.labels == 1, priced.chances[:, 1] > 5 / 6
    cost = (5 * (~satisfied & told) + (satisfied & ~told)).mean()
    assert priced.metrics["mean_cost"] == pytest.approx(cost)
    assert cost <= min(
        priced.metrics["mean_cost_all_satisfied"], priced.metrics["mean_cost_none_satisfied"]
    )
    assert "customer costs 5 and a needless call 1 (ml.costs)" in calibration_words(priced)
    # what is not stated is no part of the question: runs before there were costs can be repeated
    assert "costs" not in origin(SETTINGS)["config"] and "costs" in origin(stated)["config"]
