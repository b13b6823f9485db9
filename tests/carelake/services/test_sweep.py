"""Nobody gets anything from a server of ours without a password: every port, route and method."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from carelake.services import airflow, pages, processes, servers, up
from carelake.services.ports import HOST, kept_port
from carelake.services.secrets import USER, Secrets
from carelake.settings import Home
from tests.commands import carelake
from tests.conftest import PROJECT
from tests.deploy import secrecy
from tests.deploy.asking import ask, basic
from tests.deploy.sweep import AIRFLOW, METHODS, calls, leaks

pytestmark = pytest.mark.slow

API, MLFLOW = airflow.API_SERVER, servers.MLFLOW
ALLOWED = {
    API: AIRFLOW,
    MLFLOW: (
        r"/health",
        r"/(ajax-)?api/3\.0/mlflow/server-info",
        r"/static-files/.*",
    ),
    servers.DBT_DOCS: (r"/health",),
    servers.DATA_DOCS: (r"/health",),
}
"""Paths that may answer with content to anybody, per server."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A small company's home with all pages up, made by somebody whose umask hides nothing."""
    folder = tmp_path_factory.mktemp("sweep")
    home = Home(folder / "lake")
    before = os.umask(0)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "CARELAKE"))}
    environment = {
        **kept,
        "CARELAKE_HOME": str(home.root),
        "CARELAKE_SOURCES": str(folder / "company" / "sources.yml"),
        "PYTHONPATH": str(PROJECT),
    }
    try:
        carelake("sample", str(folder / "company"), "--customers", "60", "--days", "60",
                 env=environment)  # fmt: skip
        carelake("run", env=environment, timeout=900)
        command = [sys.executable, "-m", "carelake.services", "up"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        (folder / "printed.txt").write_text(done.stdout, encoding="utf-8")
        yield home
    finally:
        os.umask(before)
        processes.stop(home, [running.name for running in processes.known(home)], patience=1)


def _routes(home: Home, kind: str) -> list[tuple[list[str], str]]:
    """Every route the server has, asked of its own application."""
    given = (
        airflow.environment(home, home.root / "sources.yml", kept_port(home, API) or 0)
        if kind == "airflow"
        else {**servers._mlflow_environment(home), "_MLFLOW_SGI_NAME": "uvicorn"}
    )
    own = {"MLFLOW_TRACKING_URI": home.mlflow_uri, "CARELAKE_PRELOAD": "0"}
    program = PROJECT / "tests" / "deploy" / "routes.py"
    done = subprocess.run(
        [sys.executable, str(program), kind], env={**os.environ, **given, **own},
        cwd=home.state, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [(methods, path) for methods, path in json.loads(done.stdout.splitlines()[-1])]


def test_every_port_of_every_process_is_on_loopback_and_one_we_know(home: Home) -> None:
    expected = {kept_port(home, name) for name in ALLOWED}
    seen = set()
    for running in processes.known(home):
        for process in running.members():
            for connection in process.net_connections(kind="inet"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip == HOST, f"{running.name}: {connection.laddr}"
                    seen.add(connection.laddr.port)
    assert None not in expected and seen == expected


@pytest.mark.parametrize(("name", "kind"), [(API, "airflow"), (MLFLOW, "mlflow")])
def test_without_the_right_password_no_route_gives_anything(
    home: Home, name: str, kind: str
) -> None:
    url = f"http://{HOST}:{kept_port(home, name)}"
    routes = _routes(home, kind)
    assert len(routes) > 150, "the application did not tell its routes"
    if kind == "airflow":
        told = ask(f"{url}/openapi.json").json()["paths"]
        assert {path for path in told if "{" not in path} <= {path for _, path in routes}
    found = leaks(url, calls(routes), ALLOWED[name])
    assert found == [], "\n".join(found[:30])


@pytest.mark.parametrize("name", [servers.DBT_DOCS, servers.DATA_DOCS])
def test_without_the_right_password_no_page_is_given(home: Home, name: str) -> None:
    url = f"http://{HOST}:{kept_port(home, name)}"
    folder = home.dbt / "site" if name == servers.DBT_DOCS else home.data_docs
    paths = [f"/{file.relative_to(folder)}" for file in folder.rglob("*") if file.is_file()]
    every = [(method, path) for path in ["/", *paths, "/../"] for method in METHODS]
    assert len(every) >= 10
    assert leaks(url, every, ALLOWED[name]) == []
    right = basic(pages.READER, Secrets.of(home).docs_password)
    assert ask(f"{url}/", headers=right).status == 200


def test_the_right_passwords_open_what_was_shut(home: Home) -> None:
    keys = Secrets.of(home)
    mlflow = f"http://{HOST}:{kept_port(home, MLFLOW)}"
    body = {"max_results": 10}
    path = "/api/2.0/mlflow/experiments/search"
    assert ask(mlflow + path, "POST", body, basic(USER, keys.mlflow_password)).status == 200
    login = {"username": USER, "password": keys.airflow_password}
    token = ask(f"{airflow.address(home)}/auth/token", "POST", login).json()["access_token"]
    header = {"Authorization": f"Bearer {token}"}
    assert ask(f"{airflow.address(home)}/api/v2/dags", headers=header).status == 200


def test_passwords_are_shown_once_and_kept_where_only_their_owner_reads(home: Home) -> None:
    keys = Secrets.of(home)
    hidden = dict(keys.model_dump())
    hidden["pepper"] = home.pepper_file.read_text(encoding="ascii").strip()
    printed = (home.root.parent / "printed.txt").read_text(encoding="utf-8")
    shown = {name for name, value in hidden.items() if value in printed}
    assert shown == {"airflow_password", "mlflow_password", "docs_password"}
    assert up.new_passwords(home) == []
    for running in processes.known(home):
        for process in running.members():
            words = " ".join(process.cmdline())
            assert not [name for name, value in hidden.items() if value in words], words


def test_secrets_stand_in_their_own_files_only_and_no_file_of_the_home_is_open_to_others(
    home: Home,
) -> None:
    hidden = dict(Secrets.of(home).model_dump())
    hidden["pepper"] = home.pepper_file.read_text(encoding="ascii").strip()
    # the warehouse is opened and searched too: its writers must have ended
    processes.stop(home, [running.name for running in processes.known(home)])
    found = secrecy.found_in_files(home.root, hidden)
    assert found == {
        *((name, "state/secrets.json") for name in hidden if name != "pepper"),
        ("airflow_password", "state/airflow_passwords.json"),
        ("pepper", "pepper"),
    }
    assert secrecy.too_open(home.root) == []
    for file in {file for _, file in found} | {"state/mlflow_auth.ini"}:
        assert (home.root / file).stat().st_mode & 0o777 == 0o600, file
