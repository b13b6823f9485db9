"""A table of tickets in a real database, and the source that reads it."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pymysql

from carelake.landing import manifests
from carelake.source import Source
from carelake.sources.batches import ExtractResult
from carelake.sources.database import extract as extract_database
from carelake.window import Window
from tests.database_servers import PASSWORD, Server

EPOCH = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
COLUMNS = {"communication_id": "id", "body": "body", "sent_at": "at", "updated_at": "at"}


NAMES = {"postgresql": "desk_tickets", "mysql": "shop_customers"}
"""Sources of the page, by server."""


@dataclass
class Database:
    """A real server, and what a test does in it."""

    server: Server
    name: str = "postgres"

    @property
    def is_postgres(self) -> bool:
        return self.server.kind == "postgresql"

    @property
    def kind(self) -> str:
        return "postgres" if self.is_postgres else "mysql"

    def session(self, user: str = "admin", password: str = PASSWORD) -> Any:
        port = self.server.port
        if self.is_postgres:
            return psycopg.connect(
                host="127.0.0.1",
                port=port,
                user=user,
                password=password,
                dbname=self.name,
                autocommit=True,
            )
        return pymysql.connect(
            host="127.0.0.1", port=port, user=user, password=password, database=self.name,
            charset="utf8mb4", autocommit=True, init_command="set time_zone = '+00:00'",
        )  # fmt: skip

    def do(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run each on its own; rows of the last one."""
        session = self.session()
        try:
            cursor = session.cursor()
            for statement in statements:
                cursor.execute(statement)
            found = list(cursor.fetchall()) if cursor.description else []
            return found
        finally:
            session.close()

    def connection(self, **parts: Any) -> str:
        return json.dumps(
            {"conn_type": self.kind, "host": "127.0.0.1", "port": self.server.port, "login": "admin",
             "password": PASSWORD, "schema": self.name, **parts}
        )  # fmt: skip

    def fill(self, first: int, last: int, text: str = "问题 😀") -> None:
        """Tickets of these numbers, one a minute."""
        rows = ", ".join(
            f"({n}, '{text} {n}', '{(EPOCH + dt.timedelta(minutes=n)).strftime('%Y-%m-%d %H:%M:%S')}')"
            for n in range(first, last + 1)
        )
        self.do(f"insert into tickets (id, body, at) values {rows}")


def a_source(kind: str, **more: Any) -> Source:
    database = {"table": "tickets", **more.pop("database", {})}
    if database.get("query"):
        del database["table"]
    return Source.model_validate(
        {"name": "tickets", "kind": kind, "connection": "shop", "entity": "communications",
         "columns": COLUMNS, "database": database, **more}
    )  # fmt: skip


def extract(source: Source, landing: Path, window: Window | None = None) -> ExtractResult:
    return extract_database(
        source, landing, landing, window or Window(), sleep=lambda seconds: time.sleep(0.2)
    )


BY_TIME = {"incremental": {"column": "at", "look_back": "5m"}}
BY_ID = {"incremental": {"column": "id", "look_back": 3}}


def landed(landing: Path, columns: str = "id, body") -> list[list[tuple[Any, ...]]]:
    """Rows of every batch, in order."""
    found = []
    for manifest in manifests(landing):
        assert not manifest.damage(landing)
        files = [str(manifest.folder(landing) / file.landed) for file in manifest.files]
        with duckdb.connect() as con:
            con.execute("set TimeZone = 'UTC'")
            found.append(
                con.execute(f"select {columns} from read_parquet({files}) order by all").fetchall()
            )
    return found


def ids(landing: Path) -> list[list[int]]:
    return [[int(row[0]) for row in batch] for batch in landed(landing)]
