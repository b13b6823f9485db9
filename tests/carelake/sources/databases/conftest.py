"""A server of each kind, started once for all tests here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import database_servers
from tests.carelake.sources.databases.tickets import (
    Database,
)


@pytest.fixture(scope="session", params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[Database]:
    with getattr(database_servers, request.param)() as running:
        database = Database(running, "postgres" if running.kind == "postgresql" else "mysql")
        database.do(
            "create database shop" + ("" if database.is_postgres else " character set utf8mb4")
        )
        database.name = "shop"
        yield database


@pytest.fixture
def shop(server: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty table of tickets, and a connection that leads to it."""
    moment = "timestamptz" if server.is_postgres else "timestamp(6) null"
    server.do("drop table if exists tickets",
              f"create table tickets (id bigint primary key, body text, at {moment}, gone int default 0)")  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", server.connection())
    return server


PAGE = Path(__file__).parents[4] / "docs" / "sources-databases.md"
TABLES = {
    "postgresql": (
        "create schema if not exists support", "drop table if exists support.tickets",
        "create table support.tickets (id int, message text, customer_email text, "
        "created_at timestamptz, updated_at timestamptz, is_deleted boolean default false)",
        "insert into support.tickets select n, '退款太慢了 😀 ' || n, 'c' || n || '@example.org', "
        "timestamptz '2024-05-01 00:00+00' + n * interval '1 minute', now() - interval '2 hours' from generate_series(1, 20) n",
    ),
    "mysql": (
        "drop table if exists customers", "drop table if exists addresses",
        "create table customers (id bigint unsigned, first_name text, last_name text, email text)",
        "create table addresses (customer_id bigint unsigned, phone text)",
        "insert into customers select seq, 'Ann', concat('王', seq), concat('c', seq, '@example.org') from seq_1_to_20",
        "insert into addresses values (1, '+49 30 123456')",
    ),
}  # fmt: skip


@pytest.fixture
def company(server: Database, tmp_path: Path) -> dict[str, str]:
    """The environment of a company whose one source is this server's example of the page."""
    server.do(*TABLES[server.server.kind])
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    text = blocks[0 if server.is_postgres else 1]
    (tmp_path / "sources.yml").write_text(f"sources:\n{text}", encoding="utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))}
    return {
        **kept,
        "CARELAKE_HOME": str(tmp_path / "home"),
        "CARELAKE_SOURCES": str(tmp_path / "sources.yml"),
        "CARELAKE_PEPPER": "p",
        "AIRFLOW_CONN_DESK": server.connection(),
        "AIRFLOW_CONN_SHOP": server.connection(),
    }
