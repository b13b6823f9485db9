"""A person's word on a version: kept, told, made again after a kill, and respected by training."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ml
from carelake.errors import ConfigError, RunFailed
from carelake.settings import Home
from ml.registry import Registry
from ml.results import (
    MODELS,
    SATISFACTION,
    SEGMENTS,
    SENTIMENT,
    Decision,
    TrainResult,
    read_decisions,
)
from tests.ml.conftest import SETTINGS, conversations, customers, write_features

pytestmark = pytest.mark.slow

Trained = tuple[Home, TrainResult]


@pytest.fixture(scope="session")
def two_versions(
    trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Home, Path, Path]:
    """A home with a champion (1) and a rejected challenger (2); the features of both."""
    root = tmp_path_factory.mktemp("two")
    home = Home(root / "home")
    shutil.copytree(trained[0].root, home.root)
    talks = conversations(900, seed=1)
    # the words and waits of early rows go to the wrong conversations: a worse model, the same hold-out
    early = talks.index[talks["occurred_at"] < pd.Timestamp("2024-03-31", tz="UTC")]
    mixed = np.random.default_rng(0).permutation(early)
    columns = ["text", "first_reply_minutes", "attributes"]
    talks.loc[early, columns] = talks.loc[mixed, columns].to_numpy()
    worse = write_features(root / "worse", talks, customers(400, seed=1))
    ml.train(home, SETTINGS, worse)
    better = write_features(root / "better", conversations(900, seed=1), customers(400, seed=1))
    return home, worse, better


@pytest.fixture
def home(two_versions: tuple[Home, Path, Path], tmp_path: Path) -> Home:
    copy = Home(tmp_path / "copy")
    shutil.copytree(two_versions[0].root, copy.root)
    return copy


def champion(home: Home) -> int:
    found = Registry(home).champion(SATISFACTION)
    assert found is not None
    return int(found.version)


def test_the_list_shows_alias_decision_and_figure_of_every_version(home: Home) -> None:
    second, first = ml.versions(home, SATISFACTION)
    assert (first.version, first.alias, first.decision) == (1, "champion", "promoted")
    assert (second.version, second.alias, second.decision) == (2, "challenger", "rejected")
    assert first.decided_by == second.decided_by == "gate"
    assert first.value > second.value and len(first.model_digest) == 64
    assert {row.model_name for row in ml.versions(home)} >= {SATISFACTION, SEGMENTS}


def test_the_comparison_finds_the_planted_winner_and_agrees_with_scikit_learn(
    home: Home, two_versions: tuple[Home, Path, Path]
) -> None:
    from sklearn.metrics import f1_score, log_loss, roc_auc_score

    from ml import features as data

    folder = two_versions[2]
    found = ml.compare(home, SETTINGS, folder, SATISFACTION)
    assert (found.first, found.second) == (1, 2)
    by_name = {each.metric: each for each in found.measures}
    assert by_name["roc_auc"].winner == by_name["log_loss"].winner == 1
    frame = data.read_labelled(folder)
    until = max(
        pd.Timestamp(each.tags["trained_until"]) for each in Registry(home).versions(SATISFACTION)
    )
    later = frame[data.known_times(frame) > until].reset_index(drop=True)
    assert found.n == len(later)
    labels, model = (
        later["label"].astype(int),
        Registry(home).load(Registry(home).versions(SATISFACTION)[0]),
    )
    shaped = data.conform(data.conversation_inputs(later), model.columns)
    chances = model.model.predict_proba(shaped)
    assert by_name["roc_auc"].first == pytest.approx(roc_auc_score(labels, chances[:, 1]))
    assert by_name["log_loss"].first == pytest.approx(log_loss(labels, chances))
    answers = model.model.predict(shaped)
    assert by_name["macro_f1"].first == pytest.approx(f1_score(labels, answers, average="macro"))
    # the other way round the signs turn and the winner stays
    turned = {m.metric: m for m in ml.compare(home, SETTINGS, folder, SATISFACTION, 2, 1).measures}
    assert turned["roc_auc"].winner == 1
    assert turned["roc_auc"].upper == pytest.approx(-by_name["roc_auc"].lower)


def test_a_persons_promotion_scores_next_and_rollback_brings_the_former_champion_back(
    home: Home, two_versions: tuple[Home, Path, Path]
) -> None:
    folder = two_versions[2]
    first, is_new = ml.overrule(home, "promote", SATISFACTION, 2, "ada", "it is fairer")
    assert is_new and champion(home) == 2
    assert (first.decision, first.decided_by, first.model_version) == ("promoted", "ada", 2)
    gate = next(d for d in read_decisions(home, SATISFACTION) if d.model_version == 2)
    assert first.challenger_value == gate.challenger_value
    assert ml.score(home, SETTINGS, folder).versions[SATISFACTION] == 2
    assert ml.score(home, SETTINGS, folder).reused
    assert ml.overrule(home, "promote", SATISFACTION, 2, "ada", "it is fairer") == (first, False)
    back, _ = ml.overrule(home, "rollback", SATISFACTION, None, "ada", "it is not")
    assert (back.decision, back.model_version) == ("rolled_back", 1) and champion(home) == 1
    again = ml.overrule(home, "rollback", SATISFACTION, None, "ada", "it is not")
    assert again == (back, False) and champion(home) == 1
    with pytest.raises(ConfigError, match="the first champion: there is none to go back to"):
        ml.overrule(home, "rollback", SATISFACTION, None, "ada", "further")


def test_training_does_not_undo_a_persons_word(
    home: Home, two_versions: tuple[Home, Path, Path]
) -> None:
    worse = two_versions[1]
    ml.overrule(home, "promote", SATISFACTION, 2, "ada", "it is fairer")
    assert not ml.train(home, SETTINGS, worse).trained and champion(home) == 2
    ml.overrule(home, "rollback", SATISFACTION, None, "ada", "it is not")
    # asked by force, the gate finds the same content, and leaves it where she put it
    result = ml.train(home, SETTINGS, worse, force=True)
    verdict = next(d for d in result.decisions if d.model_name == SATISFACTION)
    assert verdict.decision == "rejected"
    assert "ada put version 2 aside (it is not)" in verdict.reason
    assert champion(home) == 1


def test_a_newer_challenger_must_beat_the_champion_a_person_chose(
    home: Home, two_versions: tuple[Home, Path, Path]
) -> None:
    ml.overrule(home, "promote", SATISFACTION, 2, "ada", "it is fairer")
    ml.overrule(home, "reject", SATISFACTION, 1, "ada", "gone for good")
    talks = conversations(1000, seed=1)
    folder = write_features(home.root / "more", talks, customers(400, seed=1))
    verdict = next(
        d for d in ml.train(home, SETTINGS, folder).decisions if d.model_name == SATISFACTION
    )
    assert verdict.model_version == 3 and verdict.champion_value is not None
    # measured against the one she chose, which learned from shuffled rows
    assert verdict.decision == "promoted" and "over the champion" in verdict.reason


def test_killed_between_alias_and_record_the_same_call_ends_the_same(home: Home) -> None:
    whole = Home(home.root.parent / "whole")
    shutil.copytree(home.root, whole.root)
    ml.overrule(home, "promote", SATISFACTION, 2, "ada", "it is fairer")
    ml.overrule(whole, "promote", SATISFACTION, 2, "ada", "it is fairer")
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "import ml\n"
        "from carelake.settings import Home\n"
        "from ml.results import Decision\n"
        "Decision.write = lambda *_: os._exit(9)\n"
        "ml.overrule(Home(Path(sys.argv[1])), 'rollback', 'before_survey', None, 'ada', 'no')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(home.root)], check=False, env={**os.environ}
    )
    assert done.returncode == 9
    assert champion(home) == 1 and len(read_decisions(home, SATISFACTION)) == 3
    cut, _ = ml.overrule(home, "rollback", SATISFACTION, None, "ada", "no")
    plain, _ = ml.overrule(whole, "rollback", SATISFACTION, None, "ada", "no")
    assert replace(cut, decided_at="") == replace(plain, decided_at="")
    assert champion(home) == champion(whole) == 1


@pytest.mark.parametrize(
    ("verb", "name", "version", "told"),
    [
        ("promote", "before_surveys", 1, "'before_surveys' is no model; models: before_survey, "),
        ("promote", SATISFACTION, 7, "has no version 7; there: 1, 2"),
        ("promote", SATISFACTION, 1, "version 1 is champion already"),
        ("reject", SATISFACTION, 1, "is champion: promote another, or `carelake models rollback"),
        ("promote", SEGMENTS, None, "has no challenger; name a version"),
        ("rollback", SATISFACTION, None, "is the first champion"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(
    home: Home, verb: str, name: str, version: int | None, told: str
) -> None:
    before = sorted(path.name for path in home.decisions.iterdir())
    with pytest.raises(ConfigError, match=told):
        ml.overrule(home, verb, name, version, "ada", "why not")  # type: ignore[arg-type]
    assert sorted(path.name for path in home.decisions.iterdir()) == before
    assert champion(home) == 1


def test_without_a_champion_there_is_nothing_to_go_back_from(
    new_home: Callable[[str], Home],
) -> None:
    with pytest.raises(ConfigError, match="has no champion to go back from"):
        ml.overrule(new_home("empty"), "rollback", SATISFACTION, None, "ada", "why not")


def test_a_version_whose_files_changed_is_not_promoted(home: Home) -> None:
    """Its files are copied first: artifacts are named by their full path, which is the original's."""
    registry = Registry(home)
    registry.client.set_model_version_tag(SATISFACTION, "2", "artifact_sha256", "0" * 64)
    with pytest.raises(RunFailed, match="version 2: its files are not those registered"):
        ml.overrule(home, "promote", SATISFACTION, 2, "ada", "why not")
    assert champion(home) == 1


def test_nothing_is_trained_while_a_batch_is_held(
    home: Home, two_versions: tuple[Home, Path, Path]
) -> None:
    said: list[str] = []
    held = {"surveys-000004": "columns moved"}
    folder = write_features(home.root / "new", conversations(960, seed=1), customers(400, seed=1))
    result = ml.train(home, SETTINGS, folder, held=held, report=said.append)
    assert [d.decision for d in result.decisions] == ["refused"] * len(MODELS)
    assert not result.promoted
    assert said[0].startswith(
        "before_survey: refused (batch surveys-000004 is held (columns moved): release or discard it"
    )
    assert champion(home) == 1 and len(Registry(home).versions(SATISFACTION)) == 2
    assert not ml.train(home, SETTINGS, folder, held=held).trained  # told once


def test_features_that_were_refused_for_a_held_batch_are_trained_on_once_it_is_decided(
    home: Home,
) -> None:
    folder = write_features(home.root / "new", conversations(960, seed=1), customers(400, seed=1))
    assert not ml.train(home, SETTINGS, folder, held={"surveys-000004": "cut"}).promoted
    result = ml.train(home, SETTINGS, folder)
    assert result.trained
    refused = {d.model_name for d in result.decisions if d.decision == "refused"}
    assert refused == {SENTIMENT}, "no message of these features says how it sounds"


def test_decisions_written_before_persons_could_decide_are_the_gates(home: Home) -> None:
    import json

    path = next(home.decisions.glob(f"{SEGMENTS}-*.json"))
    content = json.loads(path.read_text())
    del content["decided_by"], content["model_digest"]
    path.write_text(json.dumps(content))
    assert Decision.read(path).decided_by == "gate"
