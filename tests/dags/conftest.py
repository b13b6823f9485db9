"""DAGs as Airflow's own parser sees them, in a home of their own and without a database."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DAGS = PROJECT / "dags"

SOURCES = """
sources:
  - {name: shop_support, kind: files, path: a.csv, format: csv, entity: conversations,
     columns: {conversation_id: id}, owner: support-data, tags: [crm], schedule: "@hourly"}
  - {name: support_inbox, kind: mbox, path: inbox.mbox, freshness: {block: 3d}}
"""


@pytest.fixture(scope="session")
def airflow_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Variables that must stand before the first import of airflow."""
    home = tmp_path_factory.mktemp("home")
    sources = home / "sources.yml"
    sources.write_text(SOURCES, encoding="utf-8")
    (home / "carelake.yml").write_text("settle_seconds: 1\n", encoding="utf-8")
    values = {
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "CARELAKE_HOME": str(home),
        "CARELAKE_SOURCES": str(sources),
        "DO_NOT_TRACK": "1",
    }
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    sys.path[:0] = [str(DAGS), str(PROJECT)]
    yield home
    for entry in (str(DAGS), str(PROJECT)):
        sys.path.remove(entry)
    for key, value in before.items():
        if value is None:
            os.environ.pop(key)
        else:
            os.environ[key] = value


@pytest.fixture(scope="session")
def dags(airflow_environment: Path) -> dict[str, Any]:
    """Every DAG by its id."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    return dict(bag.dags)
