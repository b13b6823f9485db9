"""Where the pages beside a task are: gates, models, runs, and what was rejected.

Asked anew each time somebody looks at a task, so a page that moved is found where it is now.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from carelake import last_good
from carelake.errors import ConfigError
from carelake.services.ports import HOST, kept_port
from carelake.setting_groups.links import Links

if TYPE_CHECKING:
    from carelake.settings import Home

GATES = ("check_batches", "check_marts")
BUILDS = ("build_features", "build_marts")
MODELS = ("score", "train", "promote")
REJECTING = ("load", "check_batches", "build_features")
INGEST = "ingest_"


def data_docs(home: Home, task_id: str) -> str:
    """The gates' pages, for a task that is one; empty for others and before the first `make up`."""
    return _address(home, "data-docs", _links(home).data_docs) if task_id in GATES else ""


def dbt_docs(home: Home, task_id: str) -> str:
    """The models' descriptions and lineage, for a task that builds models."""
    return _address(home, "dbt-docs", _links(home).dbt_docs) if task_id in BUILDS else ""


def mlflow(home: Home, task_id: str, result: dict[str, Any]) -> str:
    """The run a task trained, else the model it scored with, else MLflow's list of models.

    Args:
        result: what the task returned.
    """
    if task_id not in MODELS or not (base := _address(home, "mlflow", _links(home).mlflow)):
        return ""
    details = result.get("details") or {}
    run = next(filter(None, (details.get("runs") or {}).values()), None)
    if run:
        return f"{base}#/runs/{quote(str(run), safe='')}"
    for model, version in (details.get("versions") or {}).items():
        return f"{base}#/models/{quote(str(model), safe='')}/versions/{version}"
    return f"{base}#/models"


def quarantine(dag_id: str, task_id: str) -> str:
    """The page of what was rejected or held, of one source for an ingest."""
    if task_id not in REJECTING:
        return ""
    base = urlsplit(os.environ.get("AIRFLOW__API__BASE_URL") or "").path.rstrip("/")
    source = dag_id.removeprefix(INGEST) if dag_id.startswith(INGEST) else ""
    return f"{base}/carelake/quarantine{f'?source={quote(source)}' if source else ''}"


def _links(home: Home) -> Links:
    sources = Path(os.environ.get("CARELAKE_SOURCES") or "sources.yml")
    try:
        return last_good.settings(home, sources.parent / "carelake.yml")[0].links
    except ConfigError:
        # a wrong carelake.yml is told where it matters; a button is not the place
        return Links()


def _address(home: Home, server: str, named: str | None) -> str:
    """What the settings name, else the port this home keeps for the server, running or not."""
    if named:
        return f"{named.rstrip('/')}/"
    port = kept_port(home, server)
    return f"http://{HOST}:{port}/" if port else ""
