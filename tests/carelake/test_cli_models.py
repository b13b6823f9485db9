"""`carelake models` on a home with marts: what is listed, and a person's word as readers see it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from carelake.keeping.restore import relocate
from carelake.settings import Home
from tests.commands import carelake, rows
from tests.conftest import SampleRun


@pytest.mark.slow
def test_a_persons_word_reaches_the_marts_and_a_held_batch_stops_training(
    sample_run: SampleRun, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(sample_run.home, home.root, symlinks=True)
    relocate(
        home.mlflow_dir / "mlflow.db",
        str(Home(sample_run.home).mlflow_artifacts),
        home.mlflow_artifacts,
    )
    env = {**sample_run.environment, "CARELAKE_HOME": str(home.root)}

    def told(*arguments: str, exit_code: int = 0) -> str:
        done = carelake("models", *arguments, env=env, exit_code=exit_code)
        return done.stdout + done.stderr

    assert "is the first champion" in told(
        "rollback", "before_survey", "--reason", "x", exit_code=2
    )
    assert "no challenger" in told("compare", "before_survey", exit_code=2)
    carelake("train", env={**env, "CARELAKE__RANDOM_SEED": "1"})
    listed = json.loads(told("list", "before_survey", "--json"))
    assert [(row["version"], row["decided_by"]) for row in listed] == [(2, "gate"), (1, "gate")]
    before, after = (1, 2) if "champion" in listed[1]["alias"] else (2, 1)
    compared = json.loads(told("compare", "before_survey", "1", "2", "--json"))
    assert {each["metric"] for each in compared["measures"]} >= {"roc_auc", "macro_f1", "brier"}
    assert "[" in told("compare", "before_survey", "1", "2")
    told("promote", "before_survey", str(after), "--reason", "as agreed", "--by", "ada")
    again = told("promote", "before_survey", str(after), "--reason", "as agreed", "--by", "ada")
    assert f"version {after}: decided so before" in again
    carelake("run", env=env)
    decisions = rows(
        "from model_decisions where decided_by <> 'gate' and model_name = 'before_survey'", env
    )
    assert [(d["model_version"], d["decided_by"], d["reason"]) for d in decisions] == [
        (after, "ada", "as agreed")
    ]
    assert len(decisions[0]["model_digest"]) == 64 and decisions[0]["challenger_value"] is not None
    used = rows("select distinct model_version as v from satisfaction_predictions", env)
    assert [row["v"] for row in used] == [after] != [before]
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute(
            "update ops.ledger set status = 'held', held_reason = 'columns moved' "
            "where batch_id = (select max(batch_id) from ops.ledger)"
        )
    said = carelake("train", env={**env, "CARELAKE__RANDOM_SEED": "2"}).stderr
    assert "is held (columns moved): release or discard it" in said
    assert len(json.loads(told("list", "before_survey", "--json"))) == 2
