"""What a data engineer expects of Airflow, by a real one: windows, backfills, changes, alerts, links."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from carelake.landing import manifests
from carelake.services import airflow, processes
from carelake.services.airflow_api import ACTIVE, AirflowApi
from carelake.services.company import ensure_company
from carelake.services.ports import free_port
from carelake.settings import Home
from tests.carelake.sources.faulty_api import Listing, serving

pytestmark = pytest.mark.slow

NOTES = """\
  - {name: notes, kind: files, path: "notes/*.csv", format: csv, entity: communications,
     columns: {communication_id: id, body: text}, constants: {channel: email}, schedule: "@monthly"}
"""
GONE = """\
  - {name: gone, kind: files, path: gone.csv, format: csv, entity: customers,
     columns: {customer_id: id}, schedule: "@yearly", owner: crm-team}
"""
TICKETS = """\
  - {{name: tickets, kind: rest, connection: shop, entity: communications, records_path: data.items,
     columns: {{communication_id: id, body: text, sent_at: updated_at}}, schedule: "@yearly",
     rest: {{url: "{url}", endpoint: items, auth: {{type: bearer}},
       pages: {{by: cursor, path: next_cursor}}}}}}
"""
TOKEN = "token-that-airflow-keeps"
CHATS = NOTES.replace("notes", "chats").replace("@monthly", "*/10 * * * *")


class Hook(BaseHTTPRequestHandler):
    """Keeps what is posted."""

    posts: list[dict[str, Any]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        Hook.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Lake:
    """A home with a running Airflow, and the folder its sources lie in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(folder / "lake")
        self.api: AirflowApi

    def sources(self, *entries: str) -> None:
        (self.folder / "sources.yml").write_text("sources:\n" + "".join(entries), encoding="utf-8")

    def put(self, name: str, came: datetime) -> None:
        path = self.folder / "notes" / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"id,text\n{name},hallo\n", encoding="utf-8")
        os.utime(path, (came.timestamp(), came.timestamp()))

    def dag(self, dag_id: str) -> dict[str, Any]:
        found = (dag for dag in self.api.dags() if dag["dag_id"] == dag_id)
        return next(found, {})

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return self.api._call(method, path, body)

    def ended(self, dag_id: str) -> list[dict[str, Any]]:
        """Its runs, once none is active."""
        until(lambda: not [r for r in self.api.runs(states=ACTIVE) if r["dag_id"] == dag_id], 300)
        return [run for run in self.api.runs() if run["dag_id"] == dag_id]


def told(what: str) -> list[dict[str, Any]]:
    """Alerts about one thing."""
    return [post for post in Hook.posts if post["what"] == what]


def until(happened: Callable[[], Any], seconds: float) -> float:
    """Wait until something is so; gives how long that took."""
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(1)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    lake = Lake(tmp_path_factory.mktemp("company"))
    shop = contextlib.ExitStack()
    url = shop.enter_context(serving(Listing("cursor", token=TOKEN).fill(23))).url
    lake.sources(NOTES, GONE, TICKETS.format(url=url))
    lake.put("first", datetime(2024, 6, 1, tzinfo=UTC))
    hook = f"http://127.0.0.1:{server.server_port}/hook"
    (lake.folder / "carelake.yml").write_text(
        f"alerts: {{webhooks: [{{url: '{hook}', style: fields}}], deadline_minutes: {{train: 1}}}}\n",
        encoding="utf-8",
    )
    kept = {k: v for k, v in os.environ.items() if k.startswith(("AIRFLOW", "CARELAKE"))}
    for key in kept:
        del os.environ[key]
    os.environ["CARELAKE_SOURCES"] = str(lake.folder / "sources.yml")
    os.environ["CARELAKE_HOME"] = str(lake.home.root)
    # nothing heavy runs here, so nothing is worth importing beforehand
    os.environ["CARELAKE_PRELOAD"] = "0"
    try:
        free_port(lake.home, "data-docs")
        sources = ensure_company(lake.home, lambda line: None)
        lake.api = airflow.start(lake.home, sources, lambda line: None)
        until(lambda: all(map(lake.dag, ("ingest_notes", "ingest_gone", "train_models"))), 90)
        # paused, its run waits; the minute it has passes while other tests run
        lake.api.trigger("train_models")
        yield lake
    finally:
        airflow.stop(lake.home)
        assert not processes.known(lake.home)
        server.shutdown()
        shop.close()
        for key in ("CARELAKE_SOURCES", "CARELAKE_HOME", "CARELAKE_PRELOAD"):
            os.environ.pop(key, None)
        os.environ.update(kept)


def test_a_backfill_and_a_form_take_each_file_once_and_in_its_window(lake: Lake) -> None:
    lake.api.unpause("ingest_notes")
    until(lambda: [r for r in lake.ended("ingest_notes") if r["state"] == "success"], 90)
    # they come now, and say they came long ago
    for month in (1, 2, 3, 4, 5):
        lake.put(f"month-{month}", datetime(2024, month, 15, tzinfo=UTC))
    span = {"from_date": "2024-01-01T00:00:00Z", "to_date": "2024-03-01T00:00:00Z"}
    made = lake.call("POST", "/api/v2/backfills", {"dag_id": "ingest_notes", **span})
    assert made["id"]

    def backfills() -> list[str]:
        runs = lake.ended("ingest_notes")
        return [str(r["state"]) for r in runs if r["run_type"] == "backfill"]

    until(lambda: len(backfills()) == 3, 60)
    assert backfills() == ["success"] * 3
    # a window in a form takes nothing else, a run without one takes what is left
    window = {"since": "2024-04-01T00:00:00Z", "until": "2024-05-01T00:00:00Z"}
    where = "/api/v2/dags/ingest_notes/dagRuns"
    lake.call("POST", where, {"logical_date": None, "conf": window})
    lake.ended("ingest_notes")
    lake.api.trigger("ingest_notes")
    lake.ended("ingest_notes")
    landed = [[file.name for file in m.files] for m in manifests(lake.home.landing, "notes")]
    assert landed[0] == ["notes/first.csv"] and landed[-2:] == [
        ["notes/month-4.csv"], ["notes/month-5.csv"],
    ]  # fmt: skip
    assert sorted(landed[1:-2]) == [[f"notes/month-{month}.csv"] for month in (1, 2, 3)]
    # again, with the same interval: nothing new, and nothing twice
    again = {"dag_id": "ingest_notes", **span, "reprocess_behavior": "completed"}
    lake.call("POST", "/api/v2/backfills", again)
    lake.ended("ingest_notes")
    assert len(manifests(lake.home.landing, "notes")) == len(landed)


def test_a_task_that_failed_for_good_is_told_with_reason_link_and_triage_note(lake: Lake) -> None:
    # a wrong setting is not retried: the alert comes at once
    where = "/api/v2/dags/ingest_notes/dagRuns"
    window = {"since": "2024-05-01T00:00:00Z", "until": "2024-04-01T00:00:00Z"}
    made = lake.call("POST", where, {"logical_date": None, "conf": window})
    until(lambda: told("ingest_notes.extract failed"), 60)
    (post,) = told("ingest_notes.extract failed")
    assert post["reason"].startswith("until: 2024-04-01T00:00:00+00:00 is not after since")
    assert "**Who is hurt.**" in post["triage"] and post["run"] == made["dag_run_id"]
    # the link is a page of this Airflow's
    with urllib.request.urlopen(post["link"], timeout=30) as page:
        assert page.status == 200 and post["link"].startswith(lake.api.url)


def test_a_web_service_is_read_with_the_secret_of_a_connection_in_airflow(lake: Lake) -> None:
    until(lambda: lake.dag("ingest_tickets"), 90)
    lake.api.unpause("ingest_tickets")
    lake.api.trigger("ingest_tickets")
    until(lambda: told("ingest_tickets.extract failed"), 120)
    reason = told("ingest_tickets.extract failed")[0]["reason"]
    assert "there is no connection 'shop'" in reason and "Admin, Connections" in reason
    kept = {"connection_id": "shop", "conn_type": "http", "host": "127.0.0.1", "password": TOKEN}
    lake.call("POST", "/api/v2/connections", kept)
    run = lake.api.trigger("ingest_tickets")
    until(lambda: [r for r in lake.ended("ingest_tickets") if r["dag_run_id"] == run], 120)
    (manifest,) = manifests(lake.home.landing, "tickets")
    assert manifest.details["records"] == 23
    for path in (*lake.home.landing.rglob("*"), *(lake.home.airflow / "logs").rglob("*")):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path


def test_a_run_that_is_late_is_told_without_a_triggerer(lake: Lake) -> None:
    until(lambda: told("train_models is late"), 150)
    (post,) = told("train_models is late")
    assert "still queued" in post["reason"] and post["owner"] == "ml-engineering"
    assert "**First three things to look at**" in post["triage"]


def test_tasks_have_buttons_and_the_quarantine_page_wants_a_login(lake: Lake) -> None:
    run = next(r for r in lake.api.runs() if r["dag_id"] == "ingest_notes")
    where = f"/api/v2/dags/ingest_notes/dagRuns/{run['dag_run_id'].replace('+', '%2B')}"
    links = lake.call("GET", f"{where}/taskInstances/load/links")["extra_links"]
    assert {name for name, url in links.items() if url} == {"Quarantine"}
    page = lake.api.url + links["Quarantine"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(page, timeout=30)
    assert refused.value.code == 401
    request = urllib.request.Request(page, headers={"Authorization": f"Bearer {lake.api._token}"})
    with urllib.request.urlopen(request, timeout=90) as answer:
        assert "Quarantine: notes" in answer.read().decode()


def test_sources_and_schedules_change_without_a_restart_and_a_slip_stops_nothing(
    lake: Lake,
) -> None:
    lake.sources(NOTES.replace("@monthly", "*/7 * * * *"), GONE, CHATS)
    waited = until(lambda: lake.dag("ingest_chats"), 100)
    until(lambda: "*/7" in str(lake.dag("ingest_notes")["timetable_summary"]), 60)
    details = "/api/v2/dags/build_marts/details"
    until(lambda: "landing_chats" in json.dumps(lake.call("GET", details)["asset_expression"]), 60)
    print(f"a new source was a DAG after {waited:.0f} s")
    lake.sources(NOTES.replace("entity: communications", "entity: comunications"), GONE, CHATS)
    until(lake.api.import_errors, 100)
    (error,) = lake.api.import_errors()
    assert error["filename"].endswith("configuration.py")
    assert "source 'notes'.entity" in error["stack_trace"] and "sources.yml" in error["stack_trace"]
    assert {"ingest_notes", "ingest_chats"} <= {
        d["dag_id"] for d in lake.api.dags() if not d["is_stale"]
    }
    assert not lake.dag("ingest_notes")["has_import_errors"]
    lake.put("meanwhile", datetime.now(UTC))
    lake.api.trigger("ingest_notes")
    lake.ended("ingest_notes")
    assert manifests(lake.home.landing, "notes")[-1].files[-1].name == "notes/meanwhile.csv"
    lake.sources(NOTES, CHATS)
    until(lambda: not lake.api.import_errors(), 100)
