"""Airflow's metadata database is lost in the middle of a build, and restored from a copy."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from carelake.services import processes
from carelake.settings import Home
from tests.commands import carelake

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = (
    "sources:\n"
    "  - {name: people, kind: files, path: people.json, format: json, entity: customers,\n"
    "     columns: {customer_id: id, age: age, email: mail}}\n"
)
pytestmark = pytest.mark.slow


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    people = [{"id": str(i), "age": 30 + i, "mail": f"p{i}@a.example"} for i in range(40)]
    (tmp_path / "people.json").write_text(json.dumps(people), encoding="utf-8")
    (tmp_path / "sources.yml").write_text(SOURCES, encoding="utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "CARELAKE"))}
    return {
        **kept,
        "CARELAKE_SOURCES": str(tmp_path / "sources.yml"),
        "CARELAKE_PEPPER": "chaos",
        "PYTHONPATH": str(PROJECT),
    }


def start(environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "carelake.services", "run"],
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def destroy(database: Path, backup: Path) -> None:
    """Keep a copy, and empty the file under those who have it open."""
    with (
        contextlib.closing(sqlite3.connect(database, timeout=60)) as con,
        contextlib.closing(sqlite3.connect(backup)) as copy,
    ):
        con.backup(copy)
    for path in database.parent.glob("airflow.db-*"):
        path.unlink()
    os.truncate(database, 0)


def repair(database: Path, backup: Path) -> None:
    """Put the copy in its place."""
    for path in database.parent.glob("airflow.db*"):
        path.unlink()
    shutil.copyfile(backup, database)


def test_after_the_metadata_database_was_lost_and_restored_one_more_run_gives_the_undisturbed_marts(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    plain = {**environment, "CARELAKE_HOME": str(tmp_path / "plain")}
    carelake("run", env=plain)
    expected = carelake("fingerprint", env=plain).stdout

    home = Home(tmp_path / "lake")
    environment["CARELAKE_HOME"] = str(home.root)
    database = home.airflow / "airflow.db"
    try:
        run = start(environment)
        assert run.stderr is not None
        seen = []
        for line in run.stderr:
            seen.append(line)
            if "build_marts.has_news" in line:
                break
        assert run.poll() is None, "".join(seen)
        destroy(database, tmp_path / "backup.db")
        _, rest = run.communicate(timeout=300)
        assert run.returncode == 1, "nobody missed the database: nothing was proved"
        assert "Traceback" not in rest
        repair(database, tmp_path / "backup.db")
        again = start(environment)
        # a task that ran in the copy is missed after two minutes, and then tried again
        _, said = again.communicate(timeout=600)
        assert again.returncode == 0, said
        assert carelake("fingerprint", env=environment).stdout == expected
    finally:
        processes.stop(home, [running.name for running in processes.known(home)], patience=1)
