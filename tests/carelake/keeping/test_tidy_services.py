"""Old training runs and Airflow's old runs go, in real stores, and what must stay stays."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from carelake.keeping.tidy_airflow import forget_airflow
from carelake.keeping.tidy_models import forget_runs
from carelake.settings import Home, prepare_environment
from tests.conftest import clean_variables


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def train(registry: Any, verdict: str) -> tuple[str, int]:
    """A run as a training leaves it: a child, a plot, a model of its own, a registered version."""
    from ml.registry import Registry

    assert isinstance(registry, Registry)
    client, experiment = registry.client, registry._experiment("before_survey")
    run = client.create_run(experiment, tags={"decision": verdict}).info
    client.create_run(experiment, tags={"mlflow.parentRunId": run.run_id})
    model = client.create_logged_model(experiment, source_run_id=run.run_id)
    for address in (run.artifact_uri, model.artifact_location):
        folder = Path(address.removeprefix("file://"))
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * 10_000)
    client.set_terminated(run.run_id)
    made = client.create_model_version("before_survey", model.artifact_location, run.run_id)
    time.sleep(0.01)  # runs are told apart by their start
    return run.run_id, int(made.version)


@pytest.mark.slow
def test_rejected_runs_go_and_those_of_champions_and_challengers_stay(home: Home) -> None:
    from mlflow.entities import ViewType

    from ml.registry import Registry

    prepare_environment(home)
    registry = Registry(home)
    registry.client.create_registered_model("before_survey")
    runs = [
        train(registry, v) for v in ("promoted", "rejected", "rejected", "rejected", "rejected")
    ]
    registry.crown("before_survey", runs[0][1])
    registry.challenge("before_survey", runs[1][1])
    size = sum(p.stat().st_size for p in home.mlflow_artifacts.rglob("file"))
    dry = forget_runs(home, 2, dry_run=True)
    assert dry.n == 1 and sum(p.stat().st_size for p in home.mlflow_artifacts.rglob("file")) == size
    freed = forget_runs(home, 2, dry_run=False)
    assert (freed.n, freed.n_bytes) == (1, 20_000)
    experiment = registry._experiment("before_survey")
    left = registry.client.search_runs([experiment], run_view_type=ViewType.ALL)
    parents = {run.info.run_id for run in left if "mlflow.parentRunId" not in run.data.tags}
    assert parents == {runs[n][0] for n in (0, 1, 3, 4)}
    assert len(left) == 8
    versions = registry.client.search_model_versions("name = 'before_survey'")
    assert {int(version.version) for version in versions} == {runs[n][1] for n in (0, 1, 3, 4)}
    assert len(registry.client.search_logged_models([experiment])) == 4
    assert len(list(home.mlflow_artifacts.rglob("file"))) == 8
    assert forget_runs(home, 2, dry_run=False).n == 0


def _insert(con: sqlite3.Connection, table: str, **values: Any) -> None:
    """A row with what the table insists on, whatever this Airflow's columns are."""
    for _, name, kind, is_required, default, is_key in con.execute(f"pragma table_info({table})"):
        if is_required and default is None and name not in values and not (is_key and name == "id"):
            values[name] = 0 if "INT" in kind or "BOOL" in kind else "x"
    names = ", ".join(f'"{name}"' for name in values)
    con.execute(
        f"insert into {table} ({names}) values ({', '.join('?' * len(values))})", [*values.values()]
    )


@pytest.mark.slow
def test_old_runs_and_logs_of_airflow_go_and_the_newest_run_of_a_dag_stays(home: Home) -> None:
    home.airflow.mkdir(parents=True)
    database = home.airflow / "airflow.db"
    env = {
        **clean_variables(),
        "AIRFLOW_HOME": str(home.airflow),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=env, check=True, capture_output=True)
    now = dt.datetime.now(dt.UTC)
    with sqlite3.connect(database) as con:
        for days in (200, 100, 10):
            moment = (now - dt.timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S.%f")
            _insert(
                con, "dag_run", dag_id="build_marts", run_id=f"r{days}", state="success",
                start_date=moment, logical_date=moment, run_after=moment, run_type="manual",
            )  # fmt: skip
            folder = home.airflow / "logs" / "dag_id=build_marts" / f"run_id=r{days}" / "task_id=x"
            folder.mkdir(parents=True)
            (folder / "attempt=1.log").write_text("x" * 5000)
            for path in (folder / "attempt=1.log", folder, folder.parent):
                os.utime(path, (now.timestamp() - days * 86_400,) * 2)
    con.close()
    said: list[str] = []
    dry = forget_airflow(home, 60, dry_run=True, say=said.append)
    assert [(each.n, each.n_bytes) for each in dry] == [(2, 10_000), (2, 0)]
    forget_airflow(home, 60, dry_run=False, say=said.append)
    with sqlite3.connect(database) as con:
        assert con.execute("select run_id from dag_run").fetchall() == [("r10",)]
    con.close()
    logs = home.airflow / "logs" / "dag_id=build_marts"
    assert [path.name for path in logs.iterdir()] == ["run_id=r10"]
    assert [e.n for e in forget_airflow(home, 60, dry_run=False, say=said.append)] == [0, 0]
