"""What every DAG owes to the person who is woken by it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

DAGS = Path(__file__).resolve().parents[2] / "dags"
FILES = sorted(path.name for path in DAGS.glob("*.py"))
HEAVY = (
    "mlflow", "sklearn", "dbt", "great_expectations", "pandas", "numpy", "duckdb", "matplotlib",
    "carelake.pipeline", "carelake.steps",
)  # fmt: skip


def test_every_dag_opens_with_a_triage_note(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        note = dag.doc_md or ""
        for heading in (
            "**What it does.**",
            "**Who is hurt.**",
            "**First three things to look at**",
        ):
            assert heading in note, f"{dag.dag_id} lacks {heading}"
        assert re.findall(r"^(\d)\. ", note, re.M) == ["1", "2", "3"], dag.dag_id


def test_every_task_has_owner_retries_timeout_and_somebody_who_is_told(
    dags: dict[str, Any],
) -> None:
    from carelake.airflow_alerts import task_failed

    for dag in dags.values():
        assert dag.deadline, dag.dag_id
        assert dag.tags and dag.description and not dag.catchup and dag.max_active_runs == 1
        for task in dag.tasks:
            where = f"{dag.dag_id}.{task.task_id}"
            assert task.owner not in ("", "airflow"), where
            assert task.retries >= 1 and task.retry_exponential_backoff > 1, where
            assert timedelta() < task.execution_timeout <= timedelta(hours=1), where
            assert task_failed in task.on_failure_callback, where


def test_a_result_is_one_xcom_and_not_one_for_each_of_its_keys(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        for task in dag.tasks:
            assert not task.multiple_outputs, f"{dag.dag_id}.{task.task_id}"


def test_waiting_holds_no_worker(dags: dict[str, Any]) -> None:
    settle = dags["build_marts"].get_task("settle")
    assert settle.mode == "reschedule" and settle.poke_interval <= 5


def test_every_writer_of_the_warehouse_waits_in_the_one_slot_pool(dags: dict[str, Any]) -> None:
    # freshness reads the ledger's copy; to tell readers it waits for the lock for five seconds itself
    readers = {"extract", "settle", "promote", "tell_aged", "replicate", "check_freshness"}
    for dag in dags.values():
        for task in dag.tasks:
            pool = "default_pool" if task.task_id in readers else "warehouse_writer"
            assert task.pool == pool, f"{dag.dag_id}.{task.task_id}"


@pytest.fixture(scope="module")
def imported(airflow_environment: Path) -> dict[str, list[str]]:
    """Heavy modules in memory after importing each DAG file, in a fresh interpreter."""
    script = (
        "import importlib, json, sys\n"
        f"sys.path.insert(0, {str(DAGS)!r})\n"
        "found = {}\n"
        f"for name in {[name.removesuffix('.py') for name in FILES]!r}:\n"
        "    importlib.import_module(name)\n"
        f"    found[name + '.py'] = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "print(json.dumps(found))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(DAGS.parent)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", FILES)
def test_parsing_a_dag_file_imports_nothing_heavy(
    imported: dict[str, list[str]], name: str
) -> None:
    assert imported[name] == []


def test_dag_files_hold_no_sql_and_no_file_access() -> None:
    for name in FILES:
        text = (DAGS / name).read_text(encoding="utf-8")
        assert not re.search(r"^\s*(import|from) (duckdb|sqlite3|subprocess|requests)", text, re.M)
        assert "open(" not in text, name
