"""The whole server as docker-compose.yml describes it, from `make env` to published marts."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from carelake.sample import write_sample
from carelake.services import env_file
from carelake.services.airflow_api import ACTIVE, AirflowApi
from carelake.services.pages import READER
from carelake.services.running import _start_ingests
from carelake.services.secrets import USER
from carelake.settings import Home
from tests.deploy import compose_file, secrecy, stack
from tests.deploy.asking import ask, basic
from tests.deploy.stack import POSTGRES_BIN, Stack
from tests.deploy.sweep import AIRFLOW, calls, leaks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(stack.missing() is not None, reason=str(stack.missing())),
]
KEPT_SOURCES = ("agents", "crm_contacts", "crm_cases", "csat_surveys", "orders")
PLANTED = "planted-Passw0rd-of-a-connection"
BUILD_SECONDS = 900.0


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """A folder that the user of PostgreSQL may pass through, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="carelake-server-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def secrets(root: Path) -> dict[str, str]:
    """What `make env` put into .env."""
    env_file.ensure(root / ".env")
    return compose_file.dotenv((root / ".env").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def server(root: Path, secrets: dict[str, str]) -> Iterator[Stack]:
    """All services, healthy, on a small company one of whose sources is missing."""
    company = root / "company"
    write_sample(company, 150, 90, 7)
    listed = yaml.safe_load((company / "sources.yml").read_text(encoding="utf-8"))
    kept = [source for source in listed["sources"] if source["name"] in KEPT_SOURCES]
    gone = {"name": "gone", "kind": "files", "path": "gone.csv", "format": "csv"}
    kept.append({**gone, "entity": "customers", "columns": {"customer_id": "id"}})
    (company / "carelake.yml").open("a", encoding="utf-8").write("settle_seconds: 10\n")
    (company / "sources.yml").write_text(yaml.safe_dump({"sources": kept}), encoding="utf-8")
    running = Stack(root, secrets, company)
    try:
        running.up()
        yield running
    finally:
        running.down()


@pytest.fixture(scope="module")
def api(server: Stack, secrets: dict[str, str]) -> AirflowApi:
    """The REST API, logged in as the admin that setup made."""
    url, password = server.url("api-server"), secrets["AIRFLOW_PASSWORD"]
    return AirflowApi(url, USER, password, timeout=120)


@pytest.fixture(scope="module")
def built(server: Stack, api: AirflowApi) -> dict[str, Any]:
    """Everything triggered over REST and ended; gives the build's run."""
    assert_status(call(api, "POST", "/api/v2/connections", {
        "connection_id": "crm", "conn_type": "http", "host": "crm.example", "password": PLANTED,
    }), 201)  # fmt: skip
    wanted = {"build_marts", *(f"ingest_{name}" for name in (*KEPT_SOURCES, "gone"))}
    end = time.monotonic() + 300
    while not wanted <= {dag["dag_id"] for dag in api.dags()}:
        assert time.monotonic() < end, f"DAGs not parsed: {api.import_errors()}"
        time.sleep(1)
    # the missing one later: a build waits for ingests that are being tried again
    _start_ingests(api, [dag for dag in api.dags() if dag["dag_id"] in wanted - {"ingest_gone"}])
    end = time.monotonic() + BUILD_SECONDS
    while time.monotonic() < end:
        runs = api.runs()
        for run in [run for run in runs if run["dag_id"] == "build_marts"]:
            tasks = api.tasks_of("build_marts", run["dag_run_id"])
            states = {task["task_id"]: task["state"] for task in tasks}
            assert "failed" not in states.values(), f"{states}; logs in {server.root}"
            if states.get("publish") == "success" and not any(r["state"] in ACTIVE for r in runs):
                return {"run": run, "states": states}
        time.sleep(2)
    raise AssertionError(f"no build within {BUILD_SECONDS:.0f} s: {runs}")


def call(api: AirflowApi, method: str, path: str, body: Any = None, token: str = "") -> Any:
    """One call with a token of its own, admin's without."""
    if not token:
        answer = ask(f"{api.url}/auth/token", "POST", api._login)
        assert_status(answer, 201)
        token = answer.json()["access_token"]
    return ask(api.url + path, method, body, {"Authorization": f"Bearer {token}"})


def assert_status(answer: Any, status: int) -> None:
    assert answer.status == status, answer.body[:500]


def test_every_service_passes_its_own_check_and_listens_on_loopback(server: Stack) -> None:
    watched = {name for name in server.services if name != "setup"}
    assert server.healthy == watched, server.healthy_after
    members = server.members()
    for name in watched:
        assert members[name], f"{name} has no process"
        for process in members[name]:
            try:
                connections = process.net_connections(kind="inet")
            except psutil.NoSuchProcess:
                continue  # a worker that has done its work
            for connection in connections:
                is_tcp = connection.type == socket.SOCK_STREAM
                if is_tcp and connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip == "127.0.0.1", f"{name}: {connection.laddr}"


def test_a_login_is_checked_and_a_viewer_may_look_but_not_act(
    server: Stack, api: AirflowApi
) -> None:
    wrong = {"username": USER, "password": "not the password"}
    assert_status(ask(f"{api.url}/auth/token", "POST", wrong), 401)
    person = {
        "username": "vera", "password": "a long password of Vera", "email": "vera@a.example",
        "first_name": "Vera", "last_name": "Viewer", "roles": [{"name": "Viewer"}],
    }  # fmt: skip
    assert call(api, "POST", "/auth/fab/v1/users", person).status in (200, 201)
    login = {"username": "vera", "password": person["password"]}
    token = ask(f"{api.url}/auth/token", "POST", login).json()["access_token"]
    assert_status(call(api, "GET", "/api/v2/dags", token=token), 200)
    assert_status(call(api, "GET", "/api/v2/connections", token=token), 403)
    body = {"logical_date": None}
    triggered = call(api, "POST", "/api/v2/dags/build_marts/dagRuns", body, token)
    assert_status(triggered, 403)


def test_the_build_ends_green_and_the_marts_are_there(server: Stack, built: dict[str, Any]) -> None:
    # no replica is set, and no champion has aged
    assert built["states"].pop("replicate") == built["states"].pop("tell_aged") == "skipped"
    assert set(built["states"].values()) == {"success"}
    home = server.root / "volumes" / "lake"
    assert (home / "published" / "current" / "marts.duckdb").exists()
    asked = "select count(*) as n from fct_conversations"
    sql = ["python", "-m", "carelake.cli", "sql", asked, "--format", "csv"]
    done = server.run("scheduler", sql)
    assert done.returncode == 0 and int(done.stdout.split()[1]) > 100, done.stderr


def test_a_missing_source_fails_alone_and_says_why(api: AirflowApi, built: dict[str, Any]) -> None:
    run_id = api.trigger("ingest_gone")
    api.unpause("ingest_gone")
    end = time.monotonic() + 300
    while not (result := api.result("ingest_gone", run_id, "extract")):
        assert time.monotonic() < end, "the failing task never said anything"
        time.sleep(1)
    assert result["outcome"] == "failed" and "gone.csv; put one there" in result["summary"]


def test_without_a_login_no_route_of_airflow_gives_anything(server: Stack) -> None:
    told = server.run("api-server", ["python", "/opt/carelake/tests/deploy/routes.py", "airflow"])
    assert told.returncode == 0, told.stderr[-3000:]
    routes = [(methods, path) for methods, path in json.loads(told.stdout.splitlines()[-1])]
    # the pages of people and roles are FAB's own, below /auth/
    assert len(routes) > 200 and any("/auth/users" in path for _, path in routes)
    found = leaks(server.url("api-server"), calls(routes), AIRFLOW)
    assert found == [], "\n".join(found[:30])


def test_mlflow_holds_the_runs_behind_its_password_and_hands_out_artifacts(
    server: Stack, secrets: dict[str, str], built: dict[str, Any]
) -> None:
    url = server.url("mlflow")
    admin = basic(USER, secrets["MLFLOW_PASSWORD"])

    def post(path: str, body: Any) -> Any:
        assert_status(ask(f"{url}/api/2.0/mlflow/{path}", "POST", body), 401)
        assert_status(ask(f"{url}/api/2.0/mlflow/{path}", "POST", body, basic(USER, "x")), 401)
        answer = ask(f"{url}/api/2.0/mlflow/{path}", "POST", body, admin)
        assert_status(answer, 200)
        return answer.json()

    experiments = post("experiments/search", {"max_results": 100})["experiments"]
    found = {each["name"]: each for each in experiments}
    assert "before_survey" in found
    # what training logged went through the server, which alone can reach the files
    assert found["before_survey"]["artifact_location"].startswith("mlflow-artifacts:")
    ids = [found["before_survey"]["experiment_id"]]
    runs = post("runs/search", {"experiment_ids": ids})["runs"]
    assert runs

    def listed(run_id: str, folder: str = "") -> list[dict[str, Any]]:
        where = f"{url}/api/2.0/mlflow/artifacts/list?run_id={run_id}&path={folder}"
        found = ask(where, headers=admin).json().get("files", [])
        below = [file for each in found if each["is_dir"] for file in listed(run_id, each["path"])]
        return [file for file in found if not file["is_dir"]] + below

    ids = [run["info"]["run_id"] for run in runs]
    files = [(run_id, file) for run_id in ids for file in listed(run_id)]
    assert files
    run_id, file = files[0]
    where = f"{url}/get-artifact?run_id={run_id}&path={file['path']}"
    assert_status(ask(where), 401)
    answer = ask(where, headers=admin)
    assert answer.status == 200 and len(answer.body) == int(file["file_size"]) > 0


def test_the_docs_answer_only_to_their_password(
    server: Stack, secrets: dict[str, str], built: dict[str, Any]
) -> None:
    reader = basic(READER, secrets["DOCS_PASSWORD"])
    for path, word in (
        ("/", b"data-docs"),
        ("/dbt-docs/", b"customer_satisfaction_index"),
        ("/data-docs/", b"expectation"),
    ):
        url = server.url("docs") + path
        assert_status(ask(url), 401)
        assert_status(ask(url, headers=basic(READER, "x")), 401)
        end = time.monotonic() + 60
        while (answer := ask(url, headers=reader)).status == 404 and time.monotonic() < end:
            time.sleep(1)  # dbt's pages are written beside the build
        assert answer.status == 200 and word in answer.body.lower(), path


def test_setup_may_run_again_and_leaves_the_password_alone(server: Stack, api: AirflowApi) -> None:
    done = server.run("setup", server.services["setup"]["command"])
    assert done.returncode == 0, done.stderr[-2000:]
    assert "keeps its password" in done.stdout
    assert_status(call(api, "GET", "/api/v2/dags"), 200)


def test_secrets_stand_in_the_env_file_and_nowhere_else(
    server: Stack, secrets: dict[str, str], built: dict[str, Any]
) -> None:
    hidden = {
        name: value
        for name, value in secrets.items()
        if name.endswith(("PASSWORD", "SECRET", "KEY", "PEPPER"))
    }
    hidden["planted"] = PLANTED
    assert len(hidden) == 12
    for members in server.members().values():
        for process in members:
            words = " ".join(process.cmdline())
            assert not [name for name, value in hidden.items() if value in words], words
    for database in ("airflow", "mlflow"):
        name = f"{database.upper()}_DB_PASSWORD"
        dump = subprocess.run(
            [str(POSTGRES_BIN / "pg_dump"), "-h", "127.0.0.1", "-U", database, database,
             "-p", server.place.ports["5432"]],
            env={"PGPASSWORD": secrets[name], "PATH": "/usr/bin:/bin"}, capture_output=True,
            check=True,
        ).stdout  # fmt: skip
        assert b"dag_run" in dump or b"registered_models" in dump
        assert not [name for name, value in hidden.items() if value.encode() in dump]
    # searched while it runs, but for the warehouse, which a reader cannot open then
    server.down()
    found = secrecy.found_in_files(server.root, hidden)
    assert {name for name, file in found if file == ".env"} == set(hidden) - {"planted"}
    assert {(name, file) for name, file in found if file != ".env"} == set()


def test_files_of_the_home_are_its_owners_but_for_what_is_published(
    server: Stack, built: dict[str, Any]
) -> None:
    home = Home(server.root / "volumes" / "lake")
    assert secrecy.too_open(home.root) == []
    assert not home.pepper_file.exists(), "the pepper came from .env"
    assert (server.root / ".env").stat().st_mode & 0o777 == 0o600
