from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pymysql
import pytest

from carelake.progress import Progress
from carelake.setting_groups.replicas import Replica
from carelake.settings import Context
from carelake.warehouse.publish import publish
from carelake.warehouse.replicas.replicate import Replicated, replicate
from tests import database_servers, small_marts
from tests.database_servers import PASSWORD, Server

READER_PASSWORD = "reads only"
LONG = "an_answer_to_the_question_how_satisfied_were_you_with_our_service_today"
AWKWARD = f"""
    select id, (id / 7.0)::decimal(18, 6) as amount, -id as "select", id % 2 = 0 as "order",
        timestamptz '2024-01-31 23:59:59.123456+00' + to_days(id::integer) as moment,
        date '2024-02-28' + id::integer as "day", time '23:59:58.5' as clock, id / 3.0::double as ratio,
        '退款太慢了 😀 O''Neil "said" \\ 100 %, a;b' || chr(10) || chr(9) || id as text,
        'zero' || chr(0) || 'byte' as zero, 'NULL' as called_null, '' as empty, null::varchar as nothing,
        json_object('名字', '王😀', 'quote', '"', 'n', id) as attributes, ['a', null, '中'] as list,
        {{'x': id, 'y': 'z'}} as struct, '\\x00\\xFF'::blob as bytes, uuid '8f14e45f-ceea-467f-9575-6a0d8f6b6e2a' as uid,
        9007199254740993 + id as big, 1.5::float as small, 98765432109876543210987654321098765432::hugeint as huge,
        'x' as {LONG}, 'y' as {LONG}_too, 1 as "xmin", 1 as 门店, 2 as "Ünïcode ""quoted"" `name`"
    from range(1, 301) as r (id)
    union all by name select 301 as id
"""
MONTHLY = """
    select 'o' || i as order_key, timestamptz '2024-01-20 00:00:00+00' + to_days(i::integer) as ordered_at,
        {edition} * (i = 5)::integer as amount
    from range(90) as r (i)
    union all select 'undated', null, 0
"""


@dataclass
class Target:
    """A real database as a replica, and what a test may do in it."""

    server: Server
    replica: Replica
    _sessions: list[Any]

    def connect(self, user: str = "admin", password: str = PASSWORD) -> Any:
        """A session of its own; closed at the end of the test."""
        if self.server.kind == "postgresql":
            con: Any = psycopg.connect(
                host="127.0.0.1", port=self.server.port, user=user, password=password,
                dbname="postgres", autocommit=True,
            )  # fmt: skip
        else:
            con = pymysql.connect(
                host="127.0.0.1", port=self.server.port, user=user, password=password,
                autocommit=True, charset="utf8mb4",
            )  # fmt: skip
        self._sessions.append(con)
        return con

    def ask(self, query: str, con: Any = None) -> list[tuple[Any, ...]]:
        """Rows of a query, as the administrator unless another session is given."""
        cursor = (con or self.connect()).cursor()
        cursor.execute(query)
        return list(cursor.fetchall()) if cursor.description else []

    def reader(self) -> Any:
        """A session of `ann`, who was given the reader role and nothing else."""
        if self.server.kind == "postgresql":
            self.ask(f"create role ann login password '{READER_PASSWORD}' in role marts_reader")
        else:
            self.ask(f"create user ann@'127.0.0.1' identified by '{READER_PASSWORD}'")
            self.ask("grant marts_reader to ann@'127.0.0.1'")
            self.ask("set default role marts_reader for ann@'127.0.0.1'")
        return self.connect("ann", READER_PASSWORD)

    def replicate(self, ctx: Context, **changed: Any) -> Replicated:
        """Bring it to the published version."""
        anew = changed.pop("anew", False)
        replica = self.replica.model_copy(update=changed)
        return replicate(replica, ctx.home, Progress(quiet=True), anew=anew)

    def clean(self) -> None:
        """As it was before the test."""
        for con in self._sessions:
            con.close()
        self._sessions.clear()
        if self.server.kind == "postgresql":
            for schema in ("marts", "marts_staging", "elsewhere"):
                self.ask(f"drop schema if exists {schema} cascade")
            for role in ("ann", "marts_reader", "modest"):
                if self.ask(f"select 1 from pg_roles where rolname = '{role}'"):
                    self.ask(f"drop owned by {role}; drop role {role}")
        else:
            for schema in ("marts", "marts_staging", "elsewhere"):
                self.ask(f"drop database if exists {schema}")
            self.ask("drop user if exists ann@'127.0.0.1', modest@'127.0.0.1'")
            self.ask("drop role if exists marts_reader")
        for con in self._sessions:
            con.close()
        self._sessions.clear()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    with database_servers.postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[Server]:
    with database_servers.mariadb() as server:
        yield server


@pytest.fixture(params=["postgresql", "mysql"])
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """A real PostgreSQL, then a real MariaDB, with nothing of ours in it."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    monkeypatch.setenv("REPLICA_PASSWORD", PASSWORD)
    found = Target(server, Replica.model_validate(settings_of(server)), [])
    yield found
    found.clean()


def settings_of(server: Server) -> dict[str, Any]:
    """The replica as carelake.yml would say it."""
    database = {"database": "postgres"} if server.kind == "postgresql" else {}
    return {
        "kind": server.kind, "host": "127.0.0.1", "port": server.port, "user": "admin",
        "password_env": "REPLICA_PASSWORD", "wait_seconds": 20, **database,
    }  # fmt: skip


@pytest.fixture
def ctx(make_context: Callable[..., Context]) -> Context:
    """A home that published its first edition: two marts that change, and others that do not."""
    ctx = make_context("sources: []", settings="{kept_versions: 3, parquet_month_from: 50}")
    small_marts.make(ctx)
    with duckdb.connect(str(ctx.home.warehouse)) as con:
        con.execute(f"create table marts.awkward as {AWKWARD}")
        con.execute("comment on table marts.awkward is 'It''s 中文 😀 \\ \"awkward\"'")
        con.execute("comment on column marts.awkward.\"select\" is 'A reserved word''s comment'")
        con.execute(f"create table marts.fct_orders as {MONTHLY.format(edition=1)}")
        con.execute("create table marts.nobody as select 1 as id where false")
    manifest = ctx.home.dbt / "target" / "manifest.json"
    content = json.loads(manifest.read_text())
    del content["nodes"]["notes"]["columns"]["made_at"], content["nodes"]["replies"]["columns"]
    content["nodes"]["replies"]["columns"] = {}
    manifest.write_text(json.dumps(content))
    new_edition(ctx, 1)
    return ctx


def new_edition(ctx: Context, edition: int, rows: int = small_marts.ROWS) -> None:
    """Build and publish `notes` and `replies` with every row bearing the edition's number."""
    with duckdb.connect(str(ctx.home.warehouse)) as con:
        for name in ("notes", "replies"):
            con.execute(
                f"create or replace table marts.{name} as select range as id, {edition} as edition "
                f"from range({rows + edition})"
            )
    publish(ctx)


def scratch_left(ctx: Context) -> list[Path]:
    """What a replication left in the home's scratch folder."""
    return list(ctx.home.scratch.glob("replica-*"))
