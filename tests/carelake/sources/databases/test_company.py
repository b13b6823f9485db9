"""Kinds `postgres` and `mysql` as their page describes them, run by the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.carelake.sources.databases.tickets import (
    NAMES,
    Database,
)
from tests.commands import carelake, holding, rows
from tests.database_servers import PASSWORD

pytestmark = pytest.mark.slow


def test_the_yaml_of_the_page_shows_its_rows_as_they_would_land(
    server: Database, company: dict[str, str], tmp_path: Path
) -> None:
    said = carelake("source", "test", NAMES[server.server.kind], env=company).stdout
    assert "20 rows" in said and "0 rejects" in said and "c1@example.org" in said
    assert not (tmp_path / "home").exists()


def test_what_is_deleted_there_leaves_the_marts(
    server: Database, company: dict[str, str], tmp_path: Path
) -> None:
    mart, deletion = (
        ("fct_communications",
         "update support.tickets set is_deleted = true, updated_at = now() where id = 7")
        if server.is_postgres
        else ("dim_customers", "delete from customers where id = 7")
    )  # fmt: skip
    found = []
    for statement in ("select 1", deletion):
        server.do(statement)
        carelake("run", env=company, timeout=600)
        found += rows(f"select count(*) as n from {mart}", company)
    assert found == [{"n": 20}, {"n": 19}]
    assert holding(Path(company["CARELAKE_HOME"]), PASSWORD) == []
    for path in (tmp_path / "home").rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()


def test_a_wrong_password_is_one_line_of_the_command(
    server: Database, company: dict[str, str]
) -> None:
    wrong = server.connection(password="wr0ng")
    told = {**company, "AIRFLOW_CONN_DESK": wrong, "AIRFLOW_CONN_SHOP": wrong}
    name = NAMES[server.server.kind]
    said = carelake("source", "test", name, env=told, exit_code=1)
    assert said.stderr.startswith(f"{name}: connection '") and "wr0ng" not in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1
