"""The whole flow by a real Airflow, and everything up and down again."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from carelake.services import airflow, processes
from carelake.services.airflow_api import AirflowApi
from carelake.services.pages import READER
from carelake.services.secrets import USER, Secrets
from carelake.settings import Home
from tests.deploy.asking import ask, basic

PROJECT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("lake"))
    yield home
    processes.stop(home, [running.name for running in processes.known(home)], patience=1)


def _environment(home: Home) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "CARELAKE"))}
    return {**kept, "CARELAKE_HOME": str(home.root), "PYTHONPATH": str(PROJECT)}


def _services(home: Home, command: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "carelake.services", command],
        env=_environment(home), cwd=home.root, capture_output=True, text=True, timeout=timeout,
        check=False,
    )  # fmt: skip


def _processes_of(home: Home) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CARELAKE_HOME") == str(home.root):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def test_run_ends_green_and_leaves_no_process(home: Home) -> None:
    done = _services(home, "run")
    assert done.returncode == 0, done.stderr[-3000:]
    assert (home.published / "current" / "marts.duckdb").exists()
    assert "build_marts.publish:" in done.stderr
    assert _processes_of(home) == []


def test_the_note_of_the_build_shows_rows_and_seconds_without_a_log(home: Home) -> None:
    import sqlite3

    with sqlite3.connect(home.airflow / "airflow.db") as con:
        notes = con.execute(
            "select n.content from dag_run_note n join dag_run d on d.id = n.dag_run_id"
            " where d.dag_id = 'build_marts' and n.content like '%| score | success |%'"
        ).fetchall()
    assert notes and re.search(r"\| score \| success \| [\d,]+ \| [\d.]+ \|", notes[0][0])


def test_a_second_run_finds_nothing_new_and_publishes_nothing(home: Home) -> None:
    before = (home.published / "current").resolve()
    done = _services(home, "run")
    assert done.returncode == 0, done.stderr[-3000:]
    assert (home.published / "current").resolve() == before
    assert "build_marts.publish:" not in done.stderr


def test_up_serves_every_page_on_loopback_and_down_leaves_no_process(home: Home) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        done = _services(home, "up")
        assert done.returncode == 0, done.stderr[-3000:]
        urls = re.findall(r"http://127\.0\.0\.1:\d+\S*", done.stdout)
        assert len(urls) == 4, done.stdout
        keys = Secrets.of(home)
        docs = basic(READER, keys.docs_password)
        logins = ({}, basic(USER, keys.mlflow_password), docs, docs)
        for url, login in zip(urls, logins, strict=True):
            assert ask(url, headers=login).status == 200
        assert _listening_beyond_loopback(home) == []
        again = _services(home, "up")
        assert again.returncode == 0
        assert re.findall(r"http://\S+", again.stdout) == re.findall(r"http://\S+", done.stdout)
        down = _services(home, "down")
        assert down.returncode == 0 and _processes_of(home) == []
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_interrupted_in_the_middle_it_stops_airflow_too(home: Home) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "carelake.services", "run"],
        env=_environment(home), cwd=home.root, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert run.stderr is not None
    for line in run.stderr:
        if "Airflow healthy" in line:
            break
    run.send_signal(signal.SIGINT)
    _, rest = run.communicate(timeout=180)
    assert run.returncode == 130, rest
    deadline = time.monotonic() + 20
    while _processes_of(home) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _processes_of(home) == []


def test_a_failing_source_fails_the_run_by_name_and_spares_the_others(tmp_path: Path) -> None:
    (tmp_path / "people.json").write_text(
        json.dumps([{"id": str(i), "age": 30 + i} for i in range(40)]), encoding="utf-8"
    )
    (tmp_path / "sources.yml").write_text(
        "sources:\n"
        "  - {name: people, kind: files, path: people.json, format: json, entity: customers,\n"
        "     columns: {customer_id: id, age: age}}\n"
        "  - {name: gone, kind: files, path: gone.csv, format: csv, entity: customers,\n"
        "     columns: {customer_id: id}}\n",
        encoding="utf-8",
    )
    home = Home(tmp_path / "lake")
    done = subprocess.run(
        [sys.executable, "-m", "carelake.services", "run"],
        env={**_environment(home), "CARELAKE_SOURCES": str(tmp_path / "sources.yml")},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert re.search(r"ingest_gone\.extract failed: .*; see \S+\.log", done.stderr)
    assert "build_marts.publish:" in done.stderr
    assert _processes_of(home) == []


def test_data_that_have_shifted_start_a_training_through_the_asset(home: Home) -> None:
    """Forty days on, everyone comes by chat and waits ten hours: rows that no champion was made on."""
    done = _services(home, "run")
    assert done.returncode == 0, done.stderr[-3000:]
    assert _services(home, "up").returncode == 0
    try:
        api = AirflowApi(str(airflow.address(home)), USER, Secrets.of(home).airflow_password)
        _write_late_chats(home.root / "sample" / "inbox" / "chat" / "messages-late.jsonl.gz")
        api.trigger("ingest_web_chat")
        told = _wait_for(api, "build_marts", "tell_aged", home)
        assert "before_survey" in api.result("build_marts", told, "tell_aged")["summary"]
        # its weekly run may be there as well: this is the one that the asset started
        trained = _wait_for(api, "train_models", "train", home)
        summary = api.result("train_models", trained, "train")["summary"]
        assert re.search(r"before_survey (promoted|rejected): ROC AUC", summary)
    finally:
        _services(home, "down")
    assert _processes_of(home) == []


def _write_late_chats(path: Path) -> None:
    begin = dt.datetime(2024, 6, 8, 3, tzinfo=dt.UTC)
    lines = []
    for number in range(300):
        opened = begin + dt.timedelta(hours=2 * number)
        said = ((0, "visitor", "where is it"), (600, "agent", "on its way"), (601, "visitor", "ok"))
        for place, (minutes, sender, text) in enumerate(said):
            sent = opened + dt.timedelta(minutes=minutes)
            row = {
                "msg_id": f"L{number:05d}{place}", "session": f"late-{number}", "sender": sender,
                "sent": sent.isoformat().replace("+00:00", "Z"), "visitor_id": f"late_{number % 90}",
                "agent_no": None, "text": text, "topic": "Shipping",
                "state": "ended" if place == 1 else "active", "page": "/", "device": "pc",
            }  # fmt: skip
            lines.append(json.dumps(row))
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def _wait_for(api: AirflowApi, dag_id: str, task_id: str, home: Home, patience: float = 900) -> str:
    """Wait until a task has succeeded in a run that an asset started; gives the run's id."""
    end = time.monotonic() + patience
    seen: dict[str, str] = {}
    while time.monotonic() < end:
        for run in api.runs():
            run_id = run["dag_run_id"]
            if run["dag_id"] != dag_id or run["run_type"] != "asset_triggered":
                continue
            states = {task["task_id"]: task["state"] for task in api.tasks_of(dag_id, run_id)}
            seen[run_id] = f"{run['state']} {states}"
            if states.get(task_id) == "success":
                return str(run_id)
            assert run["state"] != "failed", f"{seen[run_id]}; logs: {home.airflow / 'logs'}"
        time.sleep(2)
    raise AssertionError(f"{dag_id}.{task_id} did not succeed within {patience:.0f} s: {seen}")


def _listening_beyond_loopback(home: Home) -> list[str]:
    found = []
    for running in processes.known(home):
        for process in running.members():
            for connection in process.net_connections(kind="inet"):
                is_server = connection.status == psutil.CONN_LISTEN
                is_tcp = connection.type == socket.SOCK_STREAM
                if is_tcp and is_server and connection.laddr.ip not in ("127.0.0.1", "::1"):
                    found.append(f"{running.name} {connection.laddr}")
    return found
