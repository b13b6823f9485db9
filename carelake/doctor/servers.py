"""The servers of a home: half up, on taken ports, or with a database that cannot be read."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psutil

from carelake.doctor.data import decided_models
from carelake.doctor.findings import Finding, Patient, fail, listed, ok, warn
from carelake.services import airflow, processes
from carelake.services.ports import HOST, is_free

LONG = dt.timedelta(days=1)


def services(patient: Patient) -> Iterator[Finding]:
    """Whether what was started still runs, and Airflow's processes run together."""
    known = processes.known(patient.home)
    alive = {one.name for one in known if one.is_alive()}
    dead = sorted(one.name for one in known if one.name not in alive)
    up = [name for name in airflow.PROCESSES if name in alive]
    if up and len(up) < len(airflow.PROCESSES):
        down = listed([name for name in airflow.PROCESSES if name not in alive])
        yield fail(
            "services",
            f"Airflow is half up: {down} not running; see {patient.home.state / 'logs'}",
            "make down, then make up",
        )
    elif dead:
        yield warn(
            "services",
            f"{listed(dead)} ended by itself; see {patient.home.state / 'logs'}",
            "make up",
        )
    else:
        yield ok("services", f"running: {', '.join(sorted(alive))}" if alive else "none started")


def ports(patient: Patient) -> Iterator[Finding]:
    """Whether a port this home's servers had is somebody else's now."""
    try:
        text = (patient.home.state / "ports.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    taken = False
    for name, port in sorted(json.loads(text).items()):
        running = processes.find(patient.home, name)
        if (running is not None and running.is_alive()) or is_free(port):
            continue
        taken = True
        yield warn(
            "ports",
            f"{HOST}:{port}, {name}'s until now, is taken by {_listener(port)}",
            f"make up gives {name} another port; bookmarks change",
        )
    if not taken:
        yield ok("ports", "each is free or its own server's")


def _listener(port: int) -> str:
    with contextlib.suppress(psutil.Error):
        for found in psutil.net_connections("tcp"):
            is_it = found.laddr and found.laddr.port == port
            if is_it and found.status == psutil.CONN_LISTEN and found.pid:
                return f"process {found.pid} ({psutil.Process(found.pid).name()})"
    return "another process"


def databases(patient: Patient) -> Iterator[Finding]:
    """Whether Airflow's and MLflow's own databases are there and whole, where they are SQLite files."""
    here = patient.home
    mlflow = here.mlflow_dir / "mlflow.db"
    if here.owns_mlflow and (lost := _lost_champions(mlflow, decided_models(here))):
        how = "has lost" if mlflow.exists() else "is gone, and with it"
        yield fail(
            "databases",
            f"{mlflow} {how} the champion of {listed(lost)}",
            "put it back from a backup; or carelake train --force trains and decides anew",
        )
    whole = []
    for name, path in (("Airflow", here.airflow / "airflow.db"), ("MLflow", mlflow)):
        if not path.exists() or (name == "MLflow" and not here.owns_mlflow):
            continue
        if fault := _fault(path):
            yield fail(
                "databases",
                f"{name}'s {path}: {fault}",
                "restore it from a backup"
                + ("; or move it away, make up makes a new one" if name == "Airflow" else ""),
            )
        else:
            whole.append(name)
    if whole:
        yield ok("databases", f"{' and '.join(whole)} whole")


def _lost_champions(mlflow: Path, decided: list[str]) -> list[str]:
    """Models a decision promoted, and of which MLflow knows no champion."""
    if not decided or not mlflow.exists():
        return decided
    if _fault(mlflow):
        return []  # told as what it is
    query = "select name from registered_model_aliases where alias = 'champion'"
    with _read_only(mlflow) as con:
        known = {row[0] for row in con.execute(query)}
    return [name for name in decided if name not in known]


def _fault(path: Path) -> str | None:
    """What SQLite finds wrong with a file, None when nothing is."""
    try:
        with _read_only(path) as con:
            (said,) = con.execute("pragma quick_check(1)").fetchone()
            return None if said == "ok" else str(said).splitlines()[0]
    except sqlite3.Error as error:
        return str(error)


@contextlib.contextmanager
def _read_only(path: Path) -> Iterator[sqlite3.Connection]:
    address = f"{path.resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, timeout=5, uri=True)) as con:
        yield con


def airflow_runs(patient: Patient) -> Iterator[Finding]:
    """Runs that Airflow holds for running: without an Airflow, or for more than a day."""
    database = patient.home.airflow / "airflow.db"
    if not database.exists() or _fault(database):
        return
    query = (
        "select dag_id, run_id, start_date from dag_run where state = 'running' order by start_date"
    )
    with _read_only(database) as con:
        try:
            runs = con.execute(query).fetchall()
        except sqlite3.OperationalError:  # it was never set up
            return
    if runs and not airflow.is_running(patient.home):
        names = listed([f"{dag} {run}" for dag, run, _ in runs], 2)
        yield warn(
            "airflow runs",
            f"{len(runs)} under way when Airflow stopped: {names}",
            "make up goes on with them",
        )
        return
    for dag, run, started in runs:
        since = dt.datetime.fromisoformat(started).replace(tzinfo=dt.UTC) if started else None
        if since and patient.now - since > LONG:
            yield warn(
                "airflow runs",
                f"{dag} {run} has been running since {since:%Y-%m-%d %H:%M} UTC",
                "open it in Airflow: a task waits, or its worker is gone; clear it",
            )
