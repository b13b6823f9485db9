"""MLflow's database, made whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import sqlite3
from pathlib import Path

from carelake.settings import Home

BESIDE = ("-journal", "-wal", "-shm")
"""What SQLite keeps beside a database, by the end of its name."""


def ensure_store(home: Home) -> None:
    """Make this home's database unless it is there.

    MLflow makes its tables in a hundred steps, and cannot go on where it was killed: so they are
    made aside and moved in place. A database that was cut, and holds nothing yet, is made anew.
    """
    database = home.mlflow_dir / "mlflow.db"
    if not home.owns_mlflow or _is_whole(database):
        return
    home.mlflow_dir.mkdir(parents=True, exist_ok=True)
    with (home.mlflow_dir / "store.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_whole(database):
            _make(database)


def _is_whole(database: Path) -> bool:
    """Whether it is there and MLflow can go on with it, or at least say itself why not."""
    if not database.exists():
        return False
    try:
        with contextlib.closing(
            sqlite3.connect(f"{database.resolve().as_uri()}?mode=rw", timeout=1, uri=True)
        ) as con:
            for table in ("runs", "registered_models"):
                if con.execute(f"select exists(select 1 from {table})").fetchone()[0]:
                    return True
            version = con.execute("select version_num from alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        return "no such table" not in str(error)
    except sqlite3.DatabaseError:
        return True  # no database at all: not for us to replace
    from mlflow.store.db.utils import _get_latest_schema_revision

    newest = _get_latest_schema_revision()  # type: ignore[no-untyped-call]
    return version is not None and version[0] == newest


def _make(database: Path) -> None:
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine_with_retry

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    draft = database.with_name("mlflow.db.part")
    for end in ("", *BESIDE):
        draft.with_name(draft.name + end).unlink(missing_ok=True)
    engine = create_sqlalchemy_engine_with_retry(f"sqlite:///{draft}")  # type: ignore[no-untyped-call]
    _initialize_tables(engine)  # type: ignore[no-untyped-call]
    engine.dispose()
    for end in BESIDE:  # SQLite would play what is left of the cut one into the new one
        database.with_name(database.name + end).unlink(missing_ok=True)
    draft.replace(database)
