"""Kinds `postgres` and `mysql` against real servers: types, what is new, secrets, faults."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pymysql
import pytest

from carelake.landing import manifests
from carelake.source_list import Source
from carelake.sources.batches import ExtractResult
from carelake.sources.database import extract as extract_database
from carelake.window import Window
from tests import database_servers
from tests.commands import carelake, rows
from tests.database_servers import PASSWORD, Server

pytestmark = pytest.mark.slow
EPOCH = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
COLUMNS = {"communication_id": "id", "body": "body", "sent_at": "at", "updated_at": "at"}


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

    def session(self) -> Any:
        port = self.server.port
        if self.is_postgres:
            return psycopg.connect(
                host="127.0.0.1",
                port=port,
                user="admin",
                password=PASSWORD,
                dbname=self.name,
                autocommit=True,
            )
        return pymysql.connect(
            host="127.0.0.1", port=port, user="admin", password=PASSWORD, database=self.name,
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


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
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


@pytest.mark.parametrize("rule", [BY_TIME, BY_ID], ids=["time", "number"])
def test_each_reading_brings_what_is_new_and_the_look_back(
    rule: dict[str, Any], shop: Database, tmp_path: Path
) -> None:
    source = a_source(shop.kind, database=rule)
    shop.fill(1, 20)
    assert extract(source, tmp_path).outcome == "extracted"
    assert extract(source, tmp_path).outcome == "nothing_new"
    shop.fill(21, 22)
    assert extract(source, tmp_path).outcome == "extracted"
    assert extract(source, tmp_path).outcome == "nothing_new"
    from_newest = 15 if rule is BY_TIME else 17
    assert ids(tmp_path) == [list(range(1, 21)), list(range(from_newest, 23))]


@pytest.mark.parametrize("rule", [BY_TIME, BY_ID], ids=["time", "number"])
def test_a_row_that_is_committed_late_is_read_although_newer_ones_were_read_before(
    rule: dict[str, Any], shop: Database, tmp_path: Path
) -> None:
    source = a_source(shop.kind, database=rule)
    shop.fill(1, 10)
    late = shop.session()
    late.cursor().execute("begin")
    late.cursor().execute(
        "insert into tickets (id, body, at) values (11, 'late', '2024-05-01 00:11:00')"
    )
    shop.fill(12, 12)
    extract(source, tmp_path)
    late.cursor().execute("commit")
    late.close()
    assert extract(source, tmp_path).outcome == "extracted"
    assert ids(tmp_path)[0] == [*range(1, 11), 12] and 11 in ids(tmp_path)[1]


def test_a_changed_row_without_a_new_time_is_read_within_the_look_back(
    shop: Database, tmp_path: Path
) -> None:
    source = a_source(shop.kind, database=BY_TIME)
    shop.fill(1, 10)
    extract(source, tmp_path)
    shop.do("update tickets set body = 'edited' where id = 8")
    assert extract(source, tmp_path).outcome == "extracted"
    assert (8, "edited") in landed(tmp_path)[1]


def test_rows_without_a_time_and_rows_of_the_future_are_read_and_hold_nothing_back(
    shop: Database, tmp_path: Path
) -> None:
    source = a_source(shop.kind, database=BY_TIME)
    shop.fill(1, 3)
    shop.do(
        "insert into tickets (id, body, at) values (90, 'none', null), (91, 'future', '2037-01-01 00:00:00')"
    )
    extract(source, tmp_path)
    assert manifests(tmp_path)[-1].cursor_after["newest"] == "2024-05-01T00:03:00+00:00"
    assert extract(source, tmp_path).outcome == "nothing_new"
    shop.do("insert into tickets (id, body, at) values (92, 'none either', null)")
    shop.fill(4, 4)
    extract(source, tmp_path)
    assert ids(tmp_path) == [[1, 2, 3, 90, 91], [1, 2, 3, 4, 90, 91, 92]]


def test_a_window_is_read_again_and_leaves_the_cursor_where_it_was(
    shop: Database, tmp_path: Path
) -> None:
    source = a_source(shop.kind, database=BY_TIME)
    shop.fill(1, 20)
    asked = Window(EPOCH + dt.timedelta(minutes=5), EPOCH + dt.timedelta(minutes=8))
    assert extract(source, tmp_path, asked).outcome == "extracted"
    assert extract(source, tmp_path).outcome == "extracted"
    assert extract(source, tmp_path, asked).outcome == "extracted"
    assert extract(source, tmp_path).outcome == "nothing_new"
    assert ids(tmp_path) == [[5, 6, 7], list(range(1, 21)), [5, 6, 7]]
    message = extract(a_source(shop.kind, database=BY_ID), tmp_path, asked).message
    assert "a window is of times; incremental.column id is a number" in message


def test_times_without_a_zone_are_those_of_the_source_s_zone(
    shop: Database, tmp_path: Path
) -> None:
    kind = "timestamp" if shop.is_postgres else "datetime"
    shop.do("drop table tickets", f"create table tickets (id int, body text, at {kind})",
            "insert into tickets values (1, 'a', '2024-05-01 07:59:00'), (2, 'b', '2024-05-01 08:00:00')")  # fmt: skip
    source = a_source(shop.kind, timezone="Asia/Shanghai", database=BY_TIME)
    # eight o'clock in Shanghai is midnight in UTC
    assert extract(source, tmp_path, Window(EPOCH, None)).outcome == "extracted"
    assert extract(source, tmp_path).outcome == "extracted"
    assert ids(tmp_path) == [[2], [1, 2]]
    assert manifests(tmp_path)[-1].cursor_after["newest"] == "2024-05-01T08:00:00"


def test_a_snapshot_is_landed_whole_when_anything_changed_and_an_emptied_table_deletes_nothing(
    shop: Database, tmp_path: Path
) -> None:
    source = a_source(shop.kind, mode="snapshot")
    shop.fill(1, 5)
    extract(source, tmp_path)
    assert extract(source, tmp_path).outcome == "nothing_new"
    shop.do("delete from tickets where id = 3")
    assert extract(source, tmp_path).outcome == "extracted"
    shop.do("delete from tickets")
    result = extract(source, tmp_path)
    assert (result.outcome, "what was loaded stays" in result.message) == ("nothing_new", True)
    assert ids(tmp_path) == [[1, 2, 3, 4, 5], [1, 2, 4, 5]]


POSTGRES_TYPES = """
    select 9223372036854775807 as id, '12.30'::numeric(12, 2) as n, 'NaN'::numeric as nan,
        1.234567890123456789012345678901234567890::numeric as long,
        '2024-01-01 10:00:00.123456'::timestamp as local, '2024-01-01 10:00+08'::timestamptz as moment,
        date '2024-01-31' as day, 'infinity'::timestamptz as never,
        '8f14e45f-ceea-467f-9575-6a0d8f6b6e2a'::uuid as u, '{"a": "值"}'::json as j, '{"b": [1]}'::jsonb as jb,
        array['中', null, 'b'] as list, '好'::mood as mood, '\\x00dead'::bytea as bytes, true as yes,
        1.5::float8 as f, time '24:00' as clock, '1.23'::money as money, row(1, 'x') as pair,
        E'中文😀\\n\\t"\\\\\\'' as body, null::int as none, now() as at
"""
POSTGRES_TEXTS = {
    "id": "9223372036854775807", "n": "12.30", "nan": "NaN",
    "long": "1.234567890123456789012345678901234567890", "local": "2024-01-01 10:00:00.123456",
    "moment": "2024-01-01 02:00:00+00", "day": "2024-01-31", "never": "infinity",
    "u": "8f14e45f-ceea-467f-9575-6a0d8f6b6e2a", "j": '{"a": "值"}', "jb": '{"b": [1]}',
    "list": '["中",null,"b"]', "mood": "好", "bytes": "00dead", "yes": "true", "f": "1.5",
    "clock": "24:00:00", "money": "1.23", "pair": "(1,x)", "body": "中文😀\n\t\"\\'",
    "none": None,
}  # fmt: skip
MYSQL_TABLE = """
    create table odd (id bigint unsigned, signed bigint, n decimal(12, 2), l decimal(65, 30), dt datetime(6),
        moment timestamp(6) null, day date, zero datetime, part date, j json, mood enum('好', 'bad'),
        some set('a', 'b'), bytes blob, two binary(2), flag tinyint(1), bits bit(3), f double, clock time(3),
        y year, latin varchar(9) character set latin1, gbk varchar(9) character set gbk, body text, none int)
"""
MYSQL_ROW = """
    insert into odd values (18446744073709551615, -9223372036854775808, 12.30,
        12345678901234567890123456789012345.123456789012345678901234567891, '2024-01-01 10:00:00.123456',
        '2024-01-01 02:00:00.5', '2024-01-31', '0000-00-00', '2024-02-00', '{"a": "值"}', '好', 'a,b', x'00dead',
        x'00ff', 5, 5, 1.5, '-100:00:00.5', 2024, 'é', '中文', '中文😀\\n\\t"\\\\\\'', null)
"""
MYSQL_TEXTS = {
    "id": "18446744073709551615", "signed": "-9223372036854775808", "n": "12.30",
    "l": "12345678901234567890123456789012345.123456789012345678901234567891",
    "dt": "2024-01-01 10:00:00.123456", "moment": "2024-01-01 02:00:00.500000Z", "day": "2024-01-31",
    "zero": None, "part": "2024-02-00", "j": '{"a": "值"}', "mood": "好", "some": "a,b",
    "bytes": "00dead", "two": "00ff", "flag": "5", "bits": "5", "f": "1.5", "clock": "-100:00:00.500",
    "y": "2024", "latin": "é", "gbk": "中文", "body": "中文😀\n\t\"\\'", "none": None,
}  # fmt: skip


def test_every_type_arrives_without_loss(shop: Database, tmp_path: Path) -> None:
    if shop.is_postgres:
        shop.do("drop type if exists mood", "create type mood as enum ('好', 'bad')")
        query, texts = POSTGRES_TYPES, POSTGRES_TEXTS
    else:
        shop.do("drop table if exists odd", MYSQL_TABLE, "set sql_mode = ''", MYSQL_ROW)
        query, texts = "select * from odd -- all of them", MYSQL_TEXTS
    result = extract(a_source(shop.kind, database={"query": query}), tmp_path)
    assert result.outcome == "extracted", result.message
    names = ", ".join(f'"{name}"::varchar' for name in texts)
    assert landed(tmp_path, names) == [[tuple(texts.values())]]


@pytest.mark.parametrize(
    "query",
    ["select writes() as id", "delete from tickets", "select 1 as id; delete from tickets",
     "select 1 as id) as q; delete from tickets; --"],
)  # fmt: skip
def test_a_query_cannot_write(query: str, shop: Database, tmp_path: Path) -> None:
    shop.fill(1, 2)
    if shop.is_postgres:
        shop.do("create or replace function writes() returns int language sql as "
                "'insert into tickets(id) values (77) returning 1'")  # fmt: skip
    else:
        shop.do("drop function if exists writes",
                "create function writes() returns int begin insert into tickets(id) values (77); return 1; end")  # fmt: skip
    result = extract(a_source(shop.kind, database={"query": query}), tmp_path)
    assert result.outcome == "failed" and "connection 'shop'" in result.message
    assert [row[0] for row in shop.do("select id from tickets order by id")] == [1, 2]


@pytest.mark.parametrize(
    ("connection", "database", "said"),
    [
        ({"password": "wr0ng"}, {}, "correct"),
        ({"schema": "nowhere"}, {}, "correct"),
        ({}, {"table": "nowhere"}, "correct database.table"),
        ({}, {"query": "select nothing from tickets"}, "correct the query"),
        ({}, {"query": "selec 1"}, "correct database.query"),
        ({}, {"incremental": {"column": "wann"}}, "incremental.column wann is not there"),
        ({}, {"incremental": {"column": "body"}}, "incremental.column body is neither"),
        ({}, {"incremental": {"column": "id", "look_back": "1h"}}, "write 1h for times, 1000 for numbers"),
        ({"login": "reader", "password": "reads only"}, {}, "grant select on it"),
        ({"login": ""}, {}, "has no login; add it"),
    ],
)  # fmt: skip
def test_what_does_not_pass_fails_at_once_in_one_line_with_its_mend(
    connection: dict[str, str],
    database: dict[str, Any],
    said: str,
    shop: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if shop.is_postgres:
        shop.do("drop role if exists reader", "create role reader login password 'reads only'")
    else:
        shop.do("drop user if exists reader@'127.0.0.1'",
                "create user reader@'127.0.0.1' identified by 'reads only'",
                "create table if not exists other (i int)", "grant select on other to reader@'127.0.0.1'")  # fmt: skip
    shop.fill(1, 2)
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", shop.connection(**connection))
    waits: list[float] = []
    source = a_source(shop.kind, database=database)
    if "look_back" in str(database):
        extract(source, tmp_path)
    result = extract_database(source, tmp_path, tmp_path, sleep=waits.append)
    assert (result.outcome, waits) == ("failed", []), result.message
    assert said in result.message and "connection 'shop'" in result.message
    assert "\n" not in result.message and "wr0ng" not in result.message
    assert manifests(tmp_path) == []


SLOW = {
    "postgres": "select t.*, pg_sleep(0.001) from tickets as t",
    "mysql": "select t.*, sleep(0.001) from tickets as t",
}


def test_a_server_that_restarts_in_the_middle_is_waited_for_and_nothing_is_lost_or_doubled(
    shop: Database, tmp_path: Path
) -> None:
    shop.fill(1, 1500)
    source = a_source(shop.kind, database={"query": SLOW[shop.kind]})
    results: list[ExtractResult] = []
    thread = threading.Thread(target=lambda: results.append(extract(source, tmp_path)))
    thread.start()
    time.sleep(0.7)
    shop.server.stop()
    shop.server.start_again()
    thread.join(60)
    assert results[0].outcome == "extracted", results[0].message
    assert ids(tmp_path) == [list(range(1, 1501))]
    assert manifests(tmp_path)[0].details["requests"] >= 2


def test_a_session_that_an_administrator_ends_is_begun_anew(shop: Database, tmp_path: Path) -> None:
    shop.fill(1, 1500)
    source = a_source(shop.kind, database={"query": SLOW[shop.kind]})
    results: list[ExtractResult] = []
    thread = threading.Thread(target=lambda: results.append(extract(source, tmp_path)))
    thread.start()
    time.sleep(0.7)
    if shop.is_postgres:
        shop.do(
            "select pg_terminate_backend(pid) from pg_stat_activity where query like 'COPY%' and pid <> pg_backend_pid()"
        )
    else:
        for (session,) in shop.do(
            "select id from information_schema.processlist where info like '%sleep(0.001)%' and id <> connection_id()"
        ):
            shop.do(f"kill {session}")
    thread.join(60)
    assert results[0].outcome == "extracted", results[0].message
    assert ids(tmp_path) == [list(range(1, 1501))]
    assert manifests(tmp_path)[0].details["requests"] == 2


def test_a_server_that_stays_away_is_given_up_after_the_attempts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: Database
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", shop.connection(port=1))
    waits: list[float] = []
    source = a_source(shop.kind, database={"attempts": 3})
    result = extract_database(source, tmp_path, tmp_path, sleep=waits.append)
    assert len(waits) == 2 and "(3 tries); the next run goes on" in result.message
    assert PASSWORD not in result.message


def test_a_killed_extract_lands_nothing_and_the_next_one_everything_once(
    shop: Database, tmp_path: Path
) -> None:
    shop.fill(1, 1500)
    source = a_source(shop.kind, database={"query": SLOW[shop.kind]})
    code = (
        "import sys; from pathlib import Path; from carelake.source_list import Source; "
        "from carelake.sources.database import extract; folder = Path(sys.argv[2]); "
        "extract(Source.model_validate_json(sys.argv[1]), folder, folder)"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code, source.model_dump_json(), str(tmp_path)], env=os.environ
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.rglob("rows.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    told = Path(f"/proc/{running.pid}/cmdline").read_text(encoding="utf-8")
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert manifests(tmp_path) == [] and PASSWORD not in told
    assert extract(a_source(shop.kind), tmp_path).outcome == "extracted"
    assert ids(tmp_path) == [list(range(1, 1501))]
    assert list(tmp_path.rglob(".reading")) == []
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or PASSWORD.encode() not in path.read_bytes()


# -- the command line ----------------------------------------------------------------------------
PAGE = Path(__file__).parents[3] / "docs" / "sources-databases.md"
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
NAMES = {"postgresql": "desk_tickets", "mysql": "shop_customers"}


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
