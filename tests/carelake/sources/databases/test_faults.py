"""Kinds `postgres` and `mysql`: servers that restart, sessions that end, extracts that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from carelake.landing import manifests
from carelake.sources.batches import ExtractResult
from carelake.sources.database import extract as extract_database
from tests.carelake.sources.databases.tickets import (
    Database,
    a_source,
    extract,
    ids,
)
from tests.database_servers import PASSWORD

pytestmark = pytest.mark.slow
SLOW = {
    "postgres": "select t.*, pg_sleep(0.001) from tickets as t",
    "mysql": "select t.*, sleep(0.001) from tickets as t",
}


def test_a_server_that_restarts_in_the_middle_is_waited_for_and_nothing_is_lost_or_doubled(
    shop: Database, tmp_path: Path
) -> None:
    shop.fill(1, 1500)
    # on a busy machine a server takes its time to start
    source = a_source(shop.kind, database={"query": SLOW[shop.kind], "attempts": 12})
    results: list[ExtractResult] = []
    thread = threading.Thread(target=lambda: results.append(extract(source, tmp_path)))
    thread.start()
    time.sleep(0.7)
    shop.server.stop()
    shop.server.start_again()
    thread.join(300)
    assert results[0].outcome == "extracted", results[0].message
    assert ids(tmp_path) == [list(range(1, 1501))]
    assert manifests(tmp_path)[0].details["requests"] >= 2


def test_a_session_that_an_administrator_ends_is_begun_anew(shop: Database, tmp_path: Path) -> None:
    shop.fill(1, 1500)
    source = a_source(shop.kind, database={"query": SLOW[shop.kind]})
    results: list[ExtractResult] = []
    thread = threading.Thread(target=lambda: results.append(extract(source, tmp_path)))
    thread.start()
    time.sleep(0.7)
    if shop.is_postgres:
        shop.do(
            "select pg_terminate_backend(pid) from pg_stat_activity where query like 'COPY%' and pid <> pg_backend_pid()"
        )
    else:
        for (session,) in shop.do(
            "select id from information_schema.processlist where info like '%sleep(0.001)%' and id <> connection_id()"
        ):
            shop.do(f"kill {session}")
    thread.join(60)
    assert results[0].outcome == "extracted", results[0].message
    assert ids(tmp_path) == [list(range(1, 1501))]
    assert manifests(tmp_path)[0].details["requests"] == 2


def test_a_server_that_stays_away_is_given_up_after_the_attempts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: Database
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", shop.connection(port=1))
    waits: list[float] = []
    source = a_source(shop.kind, database={"attempts": 3})
    result = extract_database(source, tmp_path, tmp_path, sleep=waits.append)
    assert len(waits) == 2 and "(3 tries); the next run goes on" in result.message
    assert PASSWORD not in result.message


def test_a_killed_extract_lands_nothing_and_the_next_one_everything_once(
    shop: Database, tmp_path: Path
) -> None:
    shop.fill(1, 1500)
    source = a_source(shop.kind, database={"query": SLOW[shop.kind]})
    code = (
        "import sys; from pathlib import Path; from carelake.source import Source; "
        "from carelake.sources.database import extract; folder = Path(sys.argv[2]); "
        "extract(Source.model_validate_json(sys.argv[1]), folder, folder)"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code, source.model_dump_json(), str(tmp_path)], env=os.environ
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.rglob("rows.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    told = Path(f"/proc/{running.pid}/cmdline").read_text(encoding="utf-8")
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert manifests(tmp_path) == [] and PASSWORD not in told
    assert extract(a_source(shop.kind), tmp_path).outcome == "extracted"
    assert ids(tmp_path) == [list(range(1, 1501))]
    assert list(tmp_path.rglob(".reading")) == []
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or PASSWORD.encode() not in path.read_bytes()


# -- the command line ----------------------------------------------------------------------------
