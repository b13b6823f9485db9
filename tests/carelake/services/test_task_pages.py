from __future__ import annotations

import json
from pathlib import Path

import pytest

from carelake.services import task_pages as pages
from carelake.services.ports import kept_port
from carelake.settings import Home

LINKS = "links: {mlflow: 'https://m.example.com', data_docs: 'https://d.example.com/gates/'}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("CARELAKE_SOURCES", str(tmp_path / "sources.yml"))
    home = Home(tmp_path / "home")
    home.state.mkdir(parents=True)
    (home.state / "ports.json").write_text(json.dumps({"mlflow": 4711, "dbt-docs": 4712}))
    return home


def test_a_button_leads_to_the_kept_port_and_is_absent_before_the_first_start(home: Home) -> None:
    assert pages.dbt_docs(home, "build_marts") == f"http://127.0.0.1:{kept_port(home, 'dbt-docs')}/"
    assert pages.data_docs(home, "check_marts") == ""
    assert pages.dbt_docs(home, "extract") == pages.data_docs(home, "extract") == ""


def test_mlflow_opens_the_run_that_was_trained_or_the_model_that_scored(home: Home) -> None:
    base = "http://127.0.0.1:4711/"
    trained = {"details": {"runs": {"before_survey": None, "customer_segments": "abc"}}}
    assert pages.mlflow(home, "train", trained) == f"{base}#/runs/abc"
    scored = {"details": {"versions": {"before_survey": 3}}}
    assert pages.mlflow(home, "score", scored) == f"{base}#/models/before_survey/versions/3"
    assert pages.mlflow(home, "score", {}) == f"{base}#/models"
    assert pages.mlflow(home, "load", trained) == ""


def test_addresses_of_the_settings_win_and_a_broken_file_hides_no_button(
    home: Home, tmp_path: Path
) -> None:
    file = tmp_path / "carelake.yml"
    file.write_text("links: nowhere\n", encoding="utf-8")
    assert pages.mlflow(home, "promote", {}) == "http://127.0.0.1:4711/#/models"
    file.write_text(LINKS, encoding="utf-8")
    assert pages.mlflow(home, "promote", {}) == "https://m.example.com/#/models"
    assert pages.data_docs(home, "check_batches") == "https://d.example.com/gates/"


def test_the_quarantine_button_stays_below_airflows_own_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AIRFLOW__API__BASE_URL", raising=False)
    assert pages.quarantine("ingest_calls", "load") == "/carelake/quarantine?source=calls"
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.com/airflow/")
    assert pages.quarantine("build_marts", "check_batches") == "/airflow/carelake/quarantine"
    assert pages.quarantine("build_marts", "publish") == ""
