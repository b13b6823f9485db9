"""Airflow's old runs and logs: its own command cleans the database, folders go by their age."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from carelake.keeping.commands import clean_with
from carelake.keeping.metrics import folder_bytes
from carelake.settings import Home

if TYPE_CHECKING:
    from carelake.keeping.tidy import Freed

TABLES = ",".join(
    (
        "asset_event", "callback", "dag_run", "import_error", "job", "log", "task_instance",
        "task_instance_history", "task_reschedule", "trigger", "xcom",
    )
)  # fmt: skip
"""What `airflow db clean` is told to look at: what runs leave behind, never what DAGs are."""
URL = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


def forget_airflow(
    home: Home, days: int, *, dry_run: bool, say: Callable[[str], None]
) -> list[Freed]:
    """Remove runs and logs older than `days` days; Airflow may be running.

    Raises:
        RunFailed: `airflow db clean` failed.
    """
    from carelake.keeping.tidy import Freed

    limit = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    old = list(_old_logs(home.airflow / "logs", limit.timestamp()))
    size = sum(folder_bytes(path) if path.is_dir() else path.stat().st_size for path in old)
    if not dry_run:
        for path in old:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    n_runs = _old_runs(home, limit)
    if n_runs and not dry_run:
        _clean(home, limit)
    return [
        Freed("airflow logs", f"older than {days} days", len(old), size),
        Freed("airflow runs", f"older than {days} days", n_runs, 0),
    ]


def _old_logs(folder: Path, limit: float) -> Iterator[Path]:
    """Folders of runs, and files of the DAG processor's days, in which nothing is newer."""
    for pattern in ("dag_id=*/run_id=*", "dag_processor/*", "scheduler/*"):
        for path in folder.glob(pattern):
            if path.is_symlink():  # `latest`
                continue
            if _newest(path) < limit:
                yield path


def _newest(path: Path) -> float:
    times = [path.lstat().st_mtime]
    with contextlib.suppress(OSError):
        times += [each.lstat().st_mtime for each in path.rglob("*") if not each.is_dir()]
    return max(times) if times else time.time()


def _database(home: Home) -> Path:
    return home.airflow / "airflow.db"


def _old_runs(home: Home, limit: dt.datetime) -> int:
    """How many runs of DAGs are too old; asked of the file itself, as Airflow takes seconds.

    Airflow keeps the newest run of each DAG whatever its age.
    """
    path = _database(home)
    if not path.exists():
        return 0
    with contextlib.closing(
        sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=60)
    ) as con:
        try:
            row = con.execute(
                "select count(*) from dag_run as r where start_date < ? and exists "
                "(select 1 from dag_run n where n.dag_id = r.dag_id and n.start_date > r.start_date)",
                (limit.strftime("%Y-%m-%d %H:%M:%S"),),
            ).fetchone()
        except sqlite3.OperationalError:  # no tables yet
            return 0
    return int(row[0])


def _clean(home: Home, limit: dt.datetime) -> None:
    arguments = ["db", "clean", "--yes", "--skip-archive", "--error-on-cleanup-failure"]
    arguments += ["--clean-before-timestamp", limit.isoformat(), "--tables", TABLES]
    # inside a task Airflow hides its database's address; this home's is known
    address = f"sqlite:///{_database(home)}?timeout=60"
    environment = {"AIRFLOW_HOME": str(home.airflow), URL: address}
    clean_with("airflow", arguments, environment, "`airflow db clean` failed")
