from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from carelake.settings import Home
from ml.registry import Registry
from ml.store import ensure_store

FIRST_REVISION = "451aebb31d03"


def change(home: Home, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(home.mlflow_dir / "mlflow.db")) as con:
        con.execute(statement)
        con.commit()


def inode(home: Home) -> int:
    return (home.mlflow_dir / "mlflow.db").stat().st_ino


def works(home: Home) -> bool:
    return len(Registry(home).client.search_experiments()) == 1


@pytest.mark.parametrize(
    "cut",
    [
        f"update alembic_version set version_num = '{FIRST_REVISION}'",
        "delete from alembic_version",
        "drop table registered_models",
    ],
)
def test_a_database_whose_making_was_killed_is_made_anew(
    new_home: Callable[[str], Home], cut: str
) -> None:
    home = new_home("cut")
    change(home, cut)
    (home.mlflow_dir / "mlflow.db.part-journal").write_bytes(b"left")
    assert works(home)
    assert [path.name for path in home.mlflow_dir.glob("mlflow.db?*")] == []


def test_a_new_home_gets_a_database_at_once_and_it_is_kept(tmp_path: Path) -> None:
    home = Home(tmp_path / "new")
    assert works(home)
    before = inode(home)
    assert works(home) and inode(home) == before


def test_a_database_that_holds_anything_is_never_replaced(new_home: Callable[[str], Home]) -> None:
    home = new_home("old")
    change(home, "insert into registered_models (name) values ('kept')")
    change(home, f"update alembic_version set version_num = '{FIRST_REVISION}'")
    before = inode(home)
    ensure_store(home)
    assert inode(home) == before


def test_garbage_is_left_for_a_person_to_see(new_home: Callable[[str], Home]) -> None:
    home = new_home("garbage")
    (home.mlflow_dir / "mlflow.db").write_bytes(b"no database " * 1000)
    ensure_store(home)
    assert (home.mlflow_dir / "mlflow.db").read_bytes().startswith(b"no database")
