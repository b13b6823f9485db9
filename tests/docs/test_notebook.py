"""The notebook of the docs runs, on exports of the made-up company."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs.run_notebook import NOTEBOOK, run
from tests.commands import carelake
from tests.conftest import SampleRun


@pytest.mark.slow
def test_the_notebook_runs_on_exports_and_its_candidate_learns(
    sample_run: SampleRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for moment, folder in (("2024-03-31", "march"), ("2024-04-28", "newest")):
        said = carelake("features", "--as-of", moment, "--out", folder, env=sample_run.environment)
        assert "labelled" in said.stdout
    again = carelake(
        "features",
        "--as-of",
        "2024-04-28",
        "--out",
        "newest",
        env=sample_run.environment,
        exit_code=2,
    )
    assert "newest: is not empty; name a new folder" in again.stderr
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    space = run(notebook)
    assert 0.55 < space["auc_mine"] < space["auc_ours"]
    # a conversation looks the same in both exports, but for an answer that came in between
    both = space["march"].merge(space["newest"], on="conversation_key", suffixes=("", "_now"))
    assert len(both) > 500
    for name in ("text", "prior_satisfaction", "n_prior_orders", "customer_age", "team"):
        assert both[name].equals(both[f"{name}_now"]), name
