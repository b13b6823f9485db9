"""Training runs that no champion came of: MLflow keeps the newest, the rest goes with its files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from carelake.keeping.commands import clean_with
from carelake.keeping.metrics import folder_bytes
from carelake.settings import Home

if TYPE_CHECKING:
    from carelake.keeping.tidy import Freed

MANY = 200
"""Runs removed by one call of `mlflow gc`: their names go on a command line."""


def forget_runs(home: Home, kept: int, *, dry_run: bool) -> Freed:
    """Remove all but the newest `kept` runs of each model whose version was never promoted.

    Never removed: the runs of versions that bear an alias, and of every version a decision
    promoted: to go back to one must stay possible. What was decided stays written down.

    Raises:
        RunFailed: MLflow could not remove them.
    """
    from carelake.keeping.tidy import Freed

    none = Freed("models", f"runs rejected before the last {kept}", 0, 0)
    if not home.owns_mlflow or not (home.mlflow_dir / "mlflow.db").exists():
        return none
    if _count_runs(home) <= kept:
        return none
    from ml.registry import Registry
    from ml.results import MODELS
    from ml.turns import own_turn

    before = folder_bytes(home.mlflow_artifacts)
    count = size = 0
    with own_turn(home, lambda _: None):
        registry = Registry(home)
        for name in MODELS:
            runs = list(_removable(registry.client, home, name))[kept:]
            for run in runs:
                count += 1
                size += _artifact_bytes(home, run)
            if not dry_run and runs:
                _forget(registry.client, home, name, runs)
        if count and not dry_run:
            _forget_features(registry.client, home)
    if count and not dry_run:
        size = before - folder_bytes(home.mlflow_artifacts)
    return Freed(none.kind, none.what, count, size)


def _count_runs(home: Home) -> int:
    """How many runs there may be at most; read without MLflow, which takes seconds to import."""
    import contextlib
    import sqlite3

    uri = (home.mlflow_dir / "mlflow.db").as_uri()
    with contextlib.closing(sqlite3.connect(f"{uri}?mode=ro", uri=True)) as con:
        try:
            return int(
                con.execute(
                    "select count(distinct r.run_uuid) from runs r where r.run_uuid not in "
                    "(select run_uuid from tags where key = 'mlflow.parentRunId')"
                ).fetchone()[0]
            )
        except sqlite3.OperationalError:  # no tables yet
            return 0


def _removable(client: Any, home: Home, name: str) -> Iterator[Any]:
    """Parent runs of a model that may go, newest first."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return
    kept = _protected_runs(client, home, name)
    page = None
    while True:
        found = client.search_runs(
            [experiment.experiment_id], order_by=["attributes.start_time DESC"], page_token=page
        )
        for run in found:
            is_child = "mlflow.parentRunId" in run.data.tags
            if not is_child and run.info.status != "RUNNING" and run.info.run_id not in kept:
                yield run
        page = found.token
        if not page:
            return


def _protected_runs(client: Any, home: Home, name: str) -> set[str]:
    from ml.results import read_decisions

    promoted = {d.model_version for d in read_decisions(home, name) if d.promoted}
    kept = {str(d.run_id) for d in read_decisions(home, name) if d.promoted and d.run_id}
    for version in client.search_model_versions(f"name = '{name}'"):
        full = client.get_model_version(name, version.version)
        if full.aliases or int(version.version) in promoted:
            kept.add(str(version.run_id))
    return kept


def _children(client: Any, run: Any) -> list[Any]:
    return list(
        client.search_runs(
            [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
        )
    )


def _artifact_bytes(home: Home, run: Any) -> int:
    return folder_bytes(home.mlflow_artifacts / run.info.run_id)


def _forget(client: Any, home: Home, name: str, runs: list[Any]) -> None:
    """Take versions out of the registry, mark runs and models as deleted, let MLflow remove them."""
    gone = {run.info.run_id for run in runs}
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.run_id in gone:
            client.delete_model_version(name, version.version)
    experiment = client.get_experiment_by_name(name).experiment_id
    models = [
        model.model_id
        for model in client.search_logged_models([experiment])
        if model.source_run_id in gone
    ]
    for model in models:
        client.delete_logged_model(model)
    doomed = []
    for run in runs:
        children = _children(client, run)
        for each in [*children, run]:
            client.delete_run(each.info.run_id)
            doomed.append(each.info.run_id)
    for at in range(0, len(doomed), MANY):
        _collect(home, doomed[at : at + MANY], models if at == 0 else [])


def _forget_features(client: Any, home: Home) -> None:
    """Feature files that no run is left of."""
    names = [each.experiment_id for each in client.search_experiments()]
    used, page = set[str](), None
    while True:
        found = client.search_runs(names, page_token=page)
        used |= {str(run.data.tags.get("features_digest")) for run in found}
        page = found.token
        if not page:
            break
    for folder in home.kept_features.glob("*"):
        if folder.name not in used:
            shutil.rmtree(folder, ignore_errors=True)


def _collect(home: Home, runs: list[str], models: list[str]) -> None:
    arguments = ["gc", "--backend-store-uri", home.mlflow_uri]
    arguments += ["--tracking-uri", home.mlflow_uri, "--run-ids", ",".join(runs)]
    if models:
        arguments += ["--logged-model-ids", ",".join(models)]
    environment = {"MLFLOW_TRACKING_URI": home.mlflow_uri}
    clean_with("mlflow", arguments, environment, "MLflow could not remove old runs")
