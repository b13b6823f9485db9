"""A shifted sample: the score step finds it, keeps it for the mart, and calls for one training."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from carelake.keeping.restore import relocate
from carelake.pipeline import open_context, perform
from carelake.progress import Progress
from carelake.settings import Home
from tests.conftest import SampleRun

LATER = pd.Timedelta(days=40)


def shifted(folder: Path, target: Path) -> None:
    """The same company forty days on: its last weeks again, with six times the wait."""
    talks = pd.read_parquet(folder / "conversations.parquet")
    again = talks[talks["occurred_at"] > talks["occurred_at"].max() - LATER].copy()
    again["conversation_key"] = "later " + again["conversation_key"]
    for name in ("occurred_at", "opened_at", "label_at"):
        again[name] = again[name] + LATER
    for name in ("first_reply_minutes", "resolution_minutes"):
        again[name] = again[name].astype(float) * 6
        talks[name] = talks[name].astype(float)
    target.mkdir(parents=True)
    both = pd.concat([talks, again], ignore_index=True)
    both.to_parquet(target / "conversations.parquet", index=False)
    shutil.copy(folder / "customers.parquet", target)


@pytest.mark.slow
def test_a_shifted_sample_is_told_once_and_kept_for_the_mart(
    sample_run: SampleRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(sample_run.home, home.root, symlinks=True)
    old = str(Home(sample_run.home).mlflow_artifacts)
    relocate(home.mlflow_dir / "mlflow.db", old, home.mlflow_artifacts)
    monkeypatch.setenv("CARELAKE_HOME", str(home.root))
    monkeypatch.setenv("CARELAKE_SOURCES", str(sample_run.company / "sources.yml"))
    with duckdb.connect(str(home.warehouse)) as con:
        (digest,) = con.execute(
            "select value from ops.state where key = 'features_digest'"
        ).fetchone()
        con.execute("update ops.state set value = 'beef' where key = 'features_digest'")
    shifted(home.features / digest, home.features / "beef")
    ctx = open_context()
    first = perform(ctx, "score", Progress())
    aged = first.details["aged"]
    assert aged == first.details["aged_anew"] and "before_survey 1" in aged
    again = perform(ctx, "score", Progress())
    assert again.details["aged"] == aged and again.details["aged_anew"] == []
    with duckdb.connect(str(home.warehouse)) as con:
        found = con.execute(
            "select part_value, value::double from ml.model_health "
            "where measure = 'shift_of_input' and state = 'act' and model_name = 'before_survey'"
        ).fetchall()
        repeated = con.execute(
            "select count(*) - count(distinct health_id) from ml.model_health"
        ).fetchone()
    assert {name for name, _ in found} >= {"first_reply_minutes"}
    assert all(value > 0.25 for _, value in found)
    assert repeated == (0,)
