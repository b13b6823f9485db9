"""Airflow of one home: its settings, its three processes, its start and stop.

`airflow standalone` is not used: it orphans its children and opens log servers on all interfaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from carelake.errors import RunFailed
from carelake.services import processes
from carelake.services.airflow_api import AirflowApi
from carelake.services.files import write_private
from carelake.services.ports import HOST, free_port, kept_port
from carelake.services.secrets import USER, Secrets
from carelake.settings import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from carelake.settings import Home

SCHEDULER, DAG_PROCESSOR, API_SERVER = "scheduler", "dag-processor", "api-server"
PROCESSES = (SCHEDULER, DAG_PROCESSOR, API_SERVER)
"""In the order they are stopped: tasks need the API server until they end."""

WRITER_POOL = "warehouse_writer"
START_SECONDS = 180.0
PARALLEL_TASKS = 3
"""One settling build, and two extracts on a machine of two cores."""

PLUGINS = PROJECT / "carelake" / "services" / "airflow_plugins"


def environment(home: Home, sources: Path, port: int) -> dict[str, str]:
    """The variables all Airflow processes of this home share.

    Args:
        home: where Airflow keeps its files.
        sources: the source list the DAGs are made from.
        port: of the API server, which serves people and tasks alike.
    """
    keys = Secrets.of(home)
    options = {
        "CORE": {
            "DAGS_FOLDER": str(PROJECT / "dags"),
            "PLUGINS_FOLDER": str(PLUGINS),
            "LOAD_EXAMPLES": "False",
            "EXECUTOR": "LocalExecutor",
            "PARALLELISM": str(PARALLEL_TASKS),
            "FERNET_KEY": keys.fernet_key,
            "SIMPLE_AUTH_MANAGER_USERS": f"{USER}:ADMIN",
            "SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_password_file(home)),
            "EXECUTION_API_SERVER_URL": f"http://{HOST}:{port}/execution/",
            "MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "5",
        },
        # several processes write one SQLite file: they wait for one another
        "DATABASE": {"SQL_ALCHEMY_CONN": f"sqlite:///{home.airflow / 'airflow.db'}?timeout=60"},
        "API": {
            "HOST": HOST,
            "PORT": str(port),
            "BASE_URL": f"http://{HOST}:{port}",
            "WORKERS": "1",
            "SECRET_KEY": keys.api_secret_key,
            "INSTANCE_NAME": "Carelake",
            # pages that describe the API to anybody, and fetch scripts from other people's servers
            "ENABLE_SWAGGER_UI": "False",
        },
        "API_AUTH": {"JWT_SECRET": keys.jwt_secret},
        "SCHEDULER": {
            "SCHEDULER_HEARTBEAT_SEC": "1",
            "JOB_HEARTBEAT_SEC": "2",
            "SCHEDULER_IDLE_SLEEP_TIME": "0.3",
            "MAX_DAGRUNS_TO_CREATE_PER_LOOP": "50",
            # a task that ran when the machine went down holds its DAG for so long after the start
            # (by default five minutes); one that lives reports in every second
            "TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
        },
        "DAG_PROCESSOR": {
            "PARSING_PROCESSES": "1",
            "REFRESH_INTERVAL": "60",
            "MIN_FILE_PROCESS_INTERVAL": "30",
            "PRINT_STATS_INTERVAL": "0",
        },
        # a loaded machine answers late, and a task that cannot report in is failed; the end of a
        # skipped task is noticed at the next heartbeat, so those are frequent
        "WORKERS": {"EXECUTION_API_TIMEOUT": "60", "MIN_HEARTBEAT_INTERVAL": "1"},
        "LOGGING": {
            "COLORED_CONSOLE_LOG": "False",
            # by default a task's log may be written by its group
            "FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
            "FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        },
        "USAGE_DATA_COLLECTION": {"ENABLED": "False"},
    }
    variables = {
        f"AIRFLOW__{section}__{option}": value
        for section, pairs in options.items()
        for option, value in pairs.items()
    }
    return {
        **variables,
        "AIRFLOW_HOME": str(home.airflow),
        "CARELAKE_HOME": str(home.root),
        "CARELAKE_SOURCES": str(sources),
        "CARELAKE_PRELOAD": os.environ.get("CARELAKE_PRELOAD", "1"),
        # pickling a model asks every module for every name, and Airflow's old names warn
        "PYTHONWARNINGS": "ignore:The `airflow.",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")])),
        "NO_PROXY": ",".join(filter(None, [HOST, os.environ.get("NO_PROXY")])),
        "no_proxy": ",".join(filter(None, [HOST, os.environ.get("no_proxy")])),
    }


def is_running(home: Home) -> bool:
    """Whether all three processes of this home live."""
    found = [processes.find(home, name) for name in PROCESSES]
    return all(running is not None and running.is_alive() for running in found)


def address(home: Home) -> str | None:
    """URL of the UI, None before the first start."""
    port = kept_port(home, API_SERVER)
    return f"http://{HOST}:{port}" if port else None


class Setup:
    """The database migration, under way beside other work of the start."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, database: Path) -> None:
        """Watch a migration that was just started."""
        self._process = process
        self._log = log
        self._database = database

    def finish(self) -> None:
        """Wait for the migration.

        Raises:
            RunFailed: it failed, with its log.
        """
        if self._process.wait():
            raise RunFailed(f"Airflow could not set up its database; see {self._log}")
        with contextlib.closing(sqlite3.connect(self._database)) as con:
            # kept in the file: readers no longer stop a writer
            con.execute("pragma journal_mode = wal")

    def cancel(self) -> None:
        """End a migration nobody waits for any more; harmless after `finish`."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


def begin_setup(home: Home) -> Setup:
    """Write the password file and start migrating the metadata database."""
    stop(home)
    home.airflow.mkdir(parents=True, exist_ok=True)
    password = {USER: Secrets.of(home).airflow_password}
    write_private(_password_file(home), json.dumps(password))
    log = home.state / "logs" / "migrate.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    variables = environment(home, home.root / "sources.yml", free_port(home, API_SERVER))
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env={**os.environ, **variables},
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Setup(process, log, home.airflow / "airflow.db")


def start(
    home: Home, sources: Path, say: Callable[[str], None], setup: Setup | None = None
) -> AirflowApi:
    """Bring Airflow up and wait until it schedules, parses and answers.

    Args:
        home: the data directory.
        sources: the source list the DAGs are made from.
        say: takes one line of progress at a time.
        setup: a migration begun earlier.

    Raises:
        RunFailed: a process died or did not become healthy, with its log file.
    """
    began = time.monotonic()
    if is_running(home) and (url := address(home)):
        say(f"Airflow already runs on {url}")
    else:
        (setup or begin_setup(home)).finish()
        say("Airflow starting")
        variables = environment(home, sources, free_port(home, API_SERVER))
        # the API server takes longest, so it goes first
        for name in reversed(PROCESSES):
            processes.start(home, _service(name, variables))
    api = AirflowApi(address(home) or "", USER, Secrets.of(home).airflow_password)
    _wait_until_healthy(home, api)
    api.ensure_pool(WRITER_POOL, 1, "One process writes the warehouse")
    say(f"Airflow healthy after {time.monotonic() - began:.0f} s")
    return api


def stop(home: Home, patience: float = 10.0) -> int:
    """Stop Airflow; returns how many processes had to be killed."""
    # tasks that end with the scheduler still report to the API server
    killed = processes.stop(home, (SCHEDULER, DAG_PROCESSOR), patience=patience)
    return killed + processes.stop(home, (API_SERVER,), patience=patience)


def _service(name: str, variables: dict[str, str]) -> processes.Service:
    arguments = {
        API_SERVER: ["--host", HOST, "--port", variables["AIRFLOW__API__PORT"]],
        SCHEDULER: ["--skip-serve-logs"],
        DAG_PROCESSOR: [],
    }[name]
    return processes.Service(
        name, [sys.executable, "-m", "airflow", name, *arguments], variables, PROJECT
    )


def _password_file(home: Home) -> Path:
    return home.state / "airflow_passwords.json"


def _wait_until_healthy(home: Home, api: AirflowApi) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        for name in PROCESSES:
            running = processes.find(home, name)
            if running is None or not running.is_alive():
                raise RunFailed(f"Airflow's {name} ended; see {home.state / 'logs' / name}.log")
        if api.is_healthy():
            return
        time.sleep(0.3)
    raise RunFailed(
        f"Airflow was not healthy within {START_SECONDS:.0f} s; see {home.state / 'logs'}"
    )
