"""`make up` and `make down`: every page a user may want, on loopback, and their end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from carelake.errors import CarelakeError
from carelake.services import airflow, processes, servers
from carelake.services.company import ensure_company
from carelake.services.files import write_private
from carelake.services.pages import READER
from carelake.services.ports import HOST, kept_port
from carelake.services.secrets import USER, Secrets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from carelake.services.airflow_api import AirflowApi
    from carelake.settings import Home


@dataclass(frozen=True)
class Page:
    """One place to open in a browser; without a URL, `note` says why."""

    name: str
    url: str
    note: str


def up(home: Home, say: Callable[[str], None]) -> list[Page]:
    """Start everything that does not run yet, and wait until it answers.

    Raises:
        RunFailed: Airflow or MLflow did not start; what had been started is stopped again.
        ConfigError: the source list or a setting is wrong.
    """
    before = {running.name for running in processes.known(home) if running.is_alive()}
    setup = None if airflow.is_running(home) else airflow.begin_setup(home)
    try:
        sources = ensure_company(home, say)
        mlflow = servers.start_mlflow(home)
        pages = _documents(home, sources, say)
        api = airflow.start(home, sources, say, setup)
        _unpause_new(home, api)
        servers.wait_for(home, servers.MLFLOW, mlflow)
        for page in pages:
            if page.url:
                servers.wait_for(home, _server_name(page), page.url)
    except BaseException:
        if setup is not None:
            setup.cancel()
        started = {running.name for running in processes.known(home)} - before
        processes.stop(home, sorted(started))
        raise
    return [
        Page("Airflow", api.url, "runs, schedules, logs"),
        Page("MLflow", mlflow, "runs, metrics, registered models"),
        *pages,
    ]


def new_passwords(home: Home) -> list[tuple[str, str, str]]:
    """Rows (page, user, password), the first time it is asked only; later they are in the file."""
    shown = home.state / "passwords.shown"
    if shown.exists():
        return []
    keys = Secrets.of(home)
    write_private(shown, "")
    return [
        ("Airflow", USER, keys.airflow_password),
        ("MLflow", USER, keys.mlflow_password),
        ("dbt docs, Data Docs", READER, keys.docs_password),
    ]


def down(home: Home) -> tuple[int, int]:
    """Stop every server of this home.

    Returns:
        How many servers had pid files, and how many processes had to be killed.

    Raises:
        RunFailed: a process survived.
    """
    names = [running.name for running in processes.known(home)]
    killed = airflow.stop(home) + processes.stop(home, names)
    return len(names), killed


def state(home: Home) -> list[tuple[str, str, str]]:
    """Rows (server, running or stopped, URL or log) of every server ever started here."""
    rows = []
    for running in processes.known(home):
        port = kept_port(home, running.name)
        where = f"http://{HOST}:{port}" if port else running.log
        rows.append((running.name, "running" if running.is_alive() else "dead", where))
    return rows


def _documents(home: Home, sources: Path, say: Callable[[str], None]) -> list[Page]:
    pages = []
    for name, title, note in (
        (servers.DBT_DOCS, "dbt docs", "models, columns, lineage"),
        (servers.DATA_DOCS, "Data Docs", "expectations and their results"),
    ):
        try:
            is_dbt = name == servers.DBT_DOCS
            folder = _dbt_docs(home, sources) if is_dbt else home.data_docs
            pages.append(Page(title, servers.start_pages(home, name, folder), note))
        except CarelakeError as error:
            # before the first build there is nothing to show; that is no reason to stay down
            say(f"{title}: {error}")
            pages.append(Page(title, "", "after the first build"))
    return pages


def _dbt_docs(home: Home, sources: Path) -> Path:
    from carelake.settings import Context, Settings
    from carelake.source_list import SourceList
    from carelake.warehouse import build

    settings = Settings.load(sources.parent / "carelake.yml")
    return build.docs(Context(home, settings, SourceList.load(sources)))


def _server_name(page: Page) -> str:
    return servers.DBT_DOCS if page.name == "dbt docs" else servers.DATA_DOCS


def _unpause_new(home: Home, api: AirflowApi) -> None:
    """Unpause each DAG once: one that a person paused afterwards stays paused."""
    file = home.state / "unpaused.json"
    done = set(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else set()
    found = {dag["dag_id"]: dag["is_paused"] for dag in api.dags()}
    for dag_id, is_paused in found.items():
        if is_paused and dag_id not in done:
            api.unpause(dag_id)
    write_private(file, json.dumps(sorted(done | set(found))))
