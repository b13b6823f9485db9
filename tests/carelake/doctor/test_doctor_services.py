"""What doctor says of servers, databases, runs, replicas and overrides."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from carelake.doctor import Finding, Patient, remotes
from carelake.errors import ConfigError
from carelake.services import processes
from carelake.settings import Context
from tests.carelake.doctor.troubles import only, program

Look = Callable[..., list[Finding]]
NOW = dt.datetime.now(dt.UTC)


def test_servers_half_up_or_dead_and_a_port_that_was_taken_are_told(
    lake: Context, look: Look
) -> None:
    assert look("services") == look("ports") == []
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    try:
        processes.start(lake.home, processes.Service("scheduler", sleep))
        level, what = only(look("services"))
        assert level == "FAIL" and what.startswith(
            "Airflow is half up: dag-processor, api-server not running"
        )
        processes.start(lake.home, processes.Service("mlflow", [sys.executable, "-c", ""]))
    finally:
        processes.stop(lake.home, ["scheduler"], patience=1)
    for child in processes._children:
        child.wait(10)
    assert only(look("services"))[1].startswith("mlflow ended by itself; see ")
    listen = "import socket, sys; s = socket.create_server(('127.0.0.1', 0))\n" \
        "open(sys.argv[1], 'w').write('{\"mlflow\": %d}' % s.getsockname()[1])"  # fmt: skip
    with program(listen, str(lake.home.state / "ports.json")) as thief:
        level, what = only(look("ports"))
        assert level == "WARN" and what.endswith(
            f"mlflow's until now, is taken by process {thief.pid} ({Path(sys.executable).name})"
        )


def test_databases_that_are_damaged_or_gone_are_told(lake: Context, look: Look) -> None:
    assert look("databases") == []
    lake.home.decisions.mkdir(parents=True, exist_ok=True)
    decision = {"decision": "promoted", "model_name": "before_survey"}
    (lake.home.decisions / "1.json").write_text(json.dumps(decision))
    mlflow = lake.home.mlflow_dir / "mlflow.db"
    assert only(look("databases")) == (
        "FAIL",
        f"{mlflow} is gone, and with it the champion of before_survey",
    )
    with sqlite3.connect(mlflow) as con:
        con.execute("create table registered_model_aliases (name text, alias text)")
        con.execute("insert into registered_model_aliases values ('before_survey', 'challenger')")
        con.execute(
            "create table runs as with recursive n(i) as (select 1 union all select i + 1 from n limit 9999) select i, 'text' from n"
        )
        con.commit()
        assert only(look("databases"))[1] == f"{mlflow} has lost the champion of before_survey"
        con.execute("update registered_model_aliases set alias = 'champion'")
    con.close()
    assert look("databases") == []
    content = bytearray(mlflow.read_bytes())
    content[8192:16384] = b"\xff" * 8192
    mlflow.write_bytes(content)
    level, what = only(look("databases"))
    assert level == "FAIL" and what.startswith(f"MLflow's {mlflow}: ")


def test_runs_of_an_airflow_that_stopped_or_that_never_end_are_told(
    lake: Context, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = lake.home.airflow / "airflow.db"
    with sqlite3.connect(database) as con:
        con.execute("create table dag_run (dag_id text, run_id text, state text, start_date text)")
        con.execute(
            "insert into dag_run values ('build_marts', 'one', 'running', '2026-01-01 10:00:00.000000')"
        )
        con.execute(
            "insert into dag_run values ('build_marts', 'two', 'success', '2026-01-02 10:00:00.000000')"
        )
    con.close()
    assert only(look("airflow runs")) == (
        "WARN",
        "1 under way when Airflow stopped: build_marts one",
    )
    monkeypatch.setattr("carelake.services.airflow.is_running", lambda home: True)
    assert look("airflow runs", dt.datetime(2026, 1, 1, 20, tzinfo=dt.UTC)) == []
    level, what = only(look("airflow runs", dt.datetime(2026, 1, 3, tzinfo=dt.UTC)))
    assert (level, what) == ("WARN", "build_marts one has been running since 2026-01-01 10:00 UTC")


def test_replicas_and_alerts_that_cannot_be_reached_are_told(
    lake: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_password() -> str:
        raise ConfigError("replica 'bi': environment variable BI_PASSWORD is not set")

    with socket.create_server(("127.0.0.1", 0)) as server:
        here = {
            "host": "127.0.0.1",
            "port": server.getsockname()[1],
            "kind": "postgresql",
            "address": "here",
        }
        gone = {**here, "port": 1, "label": "gone", "password": str}
        there = SimpleNamespace(
            replicas=[
                SimpleNamespace(**gone),
                SimpleNamespace(**here, label="bi", password=no_password),
                SimpleNamespace(**here, label="sound", password=str),
            ],
            alerts=SimpleNamespace(
                mail=SimpleNamespace(host="127.0.0.1", port=1),
                webhooks=[
                    SimpleNamespace(url=f"http://127.0.0.1:{here['port']}/secret", url_env=None),
                    SimpleNamespace(url=None, url_env="CHAT_HOOK"),
                ],
            ),
        )
        patient = Patient(lake.home, replace(lake, settings=there), NOW)
        found = [*remotes.replicas(patient), *remotes.alerts(patient)]
    assert [(one.level.value, one.what) for one in found] == [
        ("WARN", "gone (here) cannot be reached: Connection refused"),
        ("WARN", "replica 'bi': environment variable BI_PASSWORD is not set"),
        ("OK", "sound (here) answers"),
        ("WARN", "mail (127.0.0.1:1) cannot be reached: Connection refused"),
        ("OK", f"webhook 1 (127.0.0.1:{here['port']}) answers"),
        ("WARN", "webhook 2: CHAT_HOOK is not set"),
    ]


def test_an_override_that_an_upgrade_outgrew_is_told(
    lake: Context, look: Look, tmp_path: Path
) -> None:
    from carelake.warehouse import company

    assert look("custom") == []
    ours = company.OURS / "macros" / "clean.sql"
    mine = tmp_path / "custom" / "overrides" / "macros" / "clean.sql"
    mine.parent.mkdir(parents=True)
    shutil.copyfile(ours, mine)
    company.prepare(lake)
    assert look("custom") == []
    notes = lake.home.dbt / company.NOTES
    # as it was noted when the original was another
    notes.write_text(notes.read_text().replace('"ours": "', '"ours": "0'))
    assert (
        only(look("custom"))[1]
        == f"{mine} takes the place of a file of ours that has changed since"
    )
    mine.write_text(mine.read_text() + "\n")
    company.prepare(lake)
    assert look("custom") == []
