"""Kinds `postgres` and `mysql`: every type arrives, nothing is written, refusals are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from carelake.landing import manifests
from carelake.sources.database import extract as extract_database
from tests.carelake.sources.databases.tickets import (
    Database,
    a_source,
    extract,
    landed,
)

pytestmark = pytest.mark.slow
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
