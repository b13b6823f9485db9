"""The pages beside Airflow: MLflow, dbt docs and Data Docs, each on a loopback port of its own."""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from carelake.errors import RunFailed
from carelake.services import pages, processes
from carelake.services.files import write_private
from carelake.services.ports import HOST, free_port, kept_port
from carelake.services.secrets import AUTH_DATABASE, USER, Secrets
from carelake.settings import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from carelake.settings import Home

MLFLOW, DBT_DOCS, DATA_DOCS = "mlflow", "dbt-docs", "data-docs"
SERVERS = (MLFLOW, DBT_DOCS, DATA_DOCS)
START_SECONDS = 90.0


def start_mlflow(home: Home) -> str:
    """Start the MLflow server on this home's runs and registry; returns its URL at once.

    Raises:
        RunFailed: it could not be started.
    """
    if url := _running(home, MLFLOW):
        return url
    from ml.store import ensure_store

    home.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
    ensure_store(home)
    port = free_port(home, MLFLOW)
    command = [
        sys.executable, "-m", "mlflow", "server",
        "--app-name", "basic-auth", "--host", HOST, "--port", str(port), "--workers", "1",
        "--backend-store-uri", home.mlflow_uri,
        "--artifacts-destination", home.mlflow_artifacts.as_uri(),
    ]  # fmt: skip
    environment = _mlflow_environment(home)
    processes.start(home, processes.Service(MLFLOW, command, environment, home.mlflow_dir))
    return f"http://{HOST}:{port}/"


def _mlflow_environment(home: Home) -> dict[str, str]:
    keys = Secrets.of(home)
    people = home.mlflow_dir / AUTH_DATABASE
    config = home.state / "mlflow_auth.ini"
    # whoever else is given a password may look at everything and change nothing; % is configparser's
    write_private(
        config,
        "[mlflow]\ndefault_permission = READ\nauth_cache_ttl_seconds = 60\n"
        f"database_uri = sqlite:///{people}\nadmin_username = {USER}\n".replace("%", "%%"),
    )
    return {
        # without job execution it starts two processes instead of ten, and a fifth of the memory
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_AUTH_ADMIN_PASSWORD": keys.mlflow_password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": keys.mlflow_secret_key,
    }


def start_pages(home: Home, name: str, folder: Path) -> str:
    """Serve a folder of finished pages; returns the URL of its first page.

    Raises:
        RunFailed: there is no `index.html` in the folder.
    """
    found = sorted(folder.rglob("index.html"), key=lambda page: (len(page.parts), page))
    if not found:
        raise RunFailed(f"no pages for {name} in {folder} yet; run the build first")
    if (url := _running(home, name)) is None:
        port = free_port(home, name)
        command = [
            sys.executable, "-m", "carelake.services.pages",
            "--host", HOST, "--port", str(port), "--site", str(found[0].parent),
        ]  # fmt: skip
        password = {pages.PASSWORD: Secrets.of(home).docs_password}
        processes.start(home, processes.Service(name, command, password, PROJECT))
        url = f"http://{HOST}:{port}/"
    return url


def wait_for(home: Home, name: str, url: str) -> None:
    """Wait until a page answers.

    Raises:
        RunFailed: its server died or did not answer in time, with its log.
    """
    log = home.state / "logs" / f"{name}.log"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        running = processes.find(home, name)
        if running is None or not running.is_alive():
            raise RunFailed(f"{name} ended; see {log}")
        try:
            with opener.open(url, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.3)
    raise RunFailed(f"{name} did not answer within {START_SECONDS:.0f} s; see {log}")


def _running(home: Home, name: str) -> str | None:
    running = processes.find(home, name)
    port = kept_port(home, name)
    if running is None or port is None or not running.is_alive():
        return None
    return f"http://{HOST}:{port}/"
