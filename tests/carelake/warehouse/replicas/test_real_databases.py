"""Marts in a real PostgreSQL and a real MariaDB hold what was published, and only readers' rights."""

from __future__ import annotations

import datetime as dt
import json
import threading
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from carelake.errors import ConfigError, RunFailed
from carelake.settings import Context
from carelake.warehouse.banner import raise_banner
from carelake.warehouse.publish import publish, rollback
from carelake.warehouse.replicas import replicate as replication
from carelake.warehouse.replicas.database import Database
from tests.carelake.warehouse.replicas.conftest import (
    LONG,
    MONTHLY,
    Target,
    new_edition,
    scratch_left,
)

pytestmark = pytest.mark.slow


def test_values_types_names_and_comments_arrive_as_they_are(target: Target, ctx: Context) -> None:
    result = target.replicate(ctx)
    assert (result.outcome, result.version) == ("done", 1)
    is_pg = target.server.kind == "postgresql"
    rows = target.ask("select * from marts.awkward where id in (4, 301) order by id")
    names = [name for (name,) in target.ask(
        "select column_name from information_schema.columns where table_schema = 'marts' "
        "and table_name = 'awkward' order by ordinal_position"
    )]  # fmt: skip
    row = dict(zip(names, rows[0], strict=True))
    moment = dt.datetime(2024, 2, 4, 23, 59, 59, 123456)
    assert (
        row["amount"] == Decimal("0.571429") and row["select"] == -4 and row["order"] in (True, 1)
    )
    assert row["moment"] == (moment.replace(tzinfo=dt.UTC) if is_pg else moment)
    assert row["day"] == dt.date(2024, 3, 3)
    assert row["text"] == '退款太慢了 😀 O\'Neil "said" \\ 100 %, a;b\n\t4'
    assert (row["zero"], row["called_null"], row["empty"]) == ("zerobyte", "NULL", "")
    assert row["nothing"] is None
    assert row["bytes"] == b"\x00\xff" and str(row["uid"]).startswith("8f14e45f")
    assert row["big"] == 9007199254740997 and row["huge"] == 98765432109876543210987654321098765432
    assert row["ratio"] == pytest.approx(4 / 3) and row["门店"] == 1
    attributes, texts, struct = (
        value if is_pg else json.loads(value)
        for value in (row["attributes"], row["list"], row["struct"])
    )
    assert attributes == {"名字": "王😀", "quote": '"', "n": 4}
    assert (texts, struct) == (["a", None, "中"], {"x": 4, "y": "z"})
    assert set(rows[1][1:]) == {None}
    long = [name for name in names if name.startswith(LONG[:40])]
    assert len(set(long)) == 2 and all(len(name) <= (63 if is_pg else 64) for name in long)
    assert [row[name] for name in long] == ["x", "y"]
    emoji = "😀" if is_pg else "\ufffd"  # MySQL's comments know three bytes a character
    assert _comments(target) == (f'It\'s 中文 {emoji} \\ "awkward"', "A reserved word's comment")
    assert target.ask("select count(*) from marts.nobody") == [(0,)]
    assert scratch_left(ctx) == []


def _comments(target: Target) -> tuple[str, str]:
    if target.server.kind == "postgresql":
        found = target.ask(
            "select obj_description('marts.awkward'::regclass), col_description('marts.awkward'::regclass, 3)"
        )[0]
    else:
        table = "where table_schema = 'marts' and table_name = 'awkward'"
        found = target.ask(
            f"select (select table_comment from information_schema.tables {table}), "
            f"(select column_comment from information_schema.columns {table} and column_name = 'select')"
        )[0]
    return str(found[0]), str(found[1])


def test_the_types_are_those_a_tool_expects(target: Target, ctx: Context) -> None:
    target.replicate(ctx)
    types = dict(
        target.ask(
            "select column_name, data_type from information_schema.columns "
            "where table_schema = 'marts' and table_name = 'awkward'"
        )
    )
    found = [types[n] for n in ("amount", "moment", "order", "text", "day", "attributes")]
    if target.server.kind == "postgresql":
        assert found == ["numeric", "timestamp with time zone", "boolean", "text", "date", "jsonb"]
    else:  # MariaDB's JSON is a text that is checked
        assert found == ["decimal", "datetime", "tinyint", "longtext", "date", "longtext"]
        collations = target.ask(
            "select distinct character_set_name, collation_name from information_schema.columns "
            "where table_schema = 'marts' and table_name = 'awkward' and column_name = 'text'"
        )
        assert collations == [("utf8mb4", "utf8mb4_bin")]


def test_only_what_changed_travels(target: Target, ctx: Context) -> None:
    first = target.replicate(ctx)
    assert sorted(first.travelled) == ["awkward", "fct_orders", "nobody", "notes", "replies"]
    assert target.replicate(ctx).outcome == "nothing_new"
    new_edition(ctx, 2)
    before = _made_at(target, "awkward")
    second = target.replicate(ctx)
    assert second.travelled == ["notes", "replies"]
    assert second.rows == target.ask("select count(*) from marts.notes")[0][0] * 2
    assert _made_at(target, "awkward") == before  # not even touched
    with duckdb.connect(str(ctx.home.warehouse)) as con:
        con.execute(f"create or replace table marts.fct_orders as {MONTHLY.format(edition=7)}")
    publish(ctx)
    assert target.replicate(ctx).travelled == ["fct_orders (1 of 5 months)"]
    assert target.ask("select count(*), sum(amount) from marts.fct_orders") == [(91, 7)]
    with duckdb.connect(str(ctx.home.warehouse)) as con:
        con.execute("comment on column marts.fct_orders.amount is 'New words'")
        con.execute("drop table marts.nobody; drop table marts.awkward")
        con.execute("update marts.notes set edition = 3 where id = 0")
    publish(ctx)
    assert target.replicate(ctx).travelled == ["fct_orders", "notes"]
    assert _tables(target) == ["fct_orders", "notes", "publication", "publication_parts", "replies"]
    assert target.replicate(ctx, anew=True).travelled == ["fct_orders", "notes", "replies"]


def _made_at(target: Target, table: str) -> Any:
    if target.server.kind == "postgresql":
        return target.ask(f"select 'marts.{table}'::regclass::oid")
    return target.ask(
        f"select create_time from information_schema.tables where table_schema = 'marts' and table_name = '{table}'"
    )


def _tables(target: Target, schema: str = "marts") -> list[str]:
    return sorted(
        name
        for (name,) in target.ask(
            f"select table_name from information_schema.tables where table_schema = '{schema}'"
        )
    )


def test_a_rollback_and_a_banner_reach_the_readers_too(target: Target, ctx: Context) -> None:
    target.replicate(ctx)
    new_edition(ctx, 2)
    target.replicate(ctx)
    raise_banner(ctx, "gate marts: too few rows")
    told = target.replicate(ctx)
    assert (told.outcome, told.travelled) == ("done", [])
    version, banner = target.ask("select version, banner from marts.publication")[0]
    assert version == 3 and "newer data is held back because gate marts: too few rows" in banner
    rollback(ctx)
    target.replicate(ctx)
    assert target.ask("select distinct edition from marts.notes") == [(1,)]
    assert target.ask("select version, banner from marts.publication") == [(1, None)]


def test_a_reader_selects_and_can_do_nothing_else(target: Target, ctx: Context) -> None:
    target.replicate(ctx)
    ann = target.reader()
    new_edition(ctx, 2)
    target.replicate(ctx)  # rights follow the tables through a swap
    assert target.ask("select distinct edition from marts.notes", ann) == [(2,)]
    for refused in (
        "insert into marts.notes values (1, 1)",
        "delete from marts.notes",
        "drop table marts.notes",
        "create table marts.mine (id integer)",
        "select * from marts_staging.carelake_staging",
        "create table marts_staging.mine (id integer)",
    ):
        with pytest.raises(Exception, match="denied|must be owner"):
            target.ask(refused, ann)


@pytest.mark.parametrize(
    ("defect", "said"),
    [
        ("delete from marts_staging.awkward where id = 7", "rows is 301 here and 300 there"),
        ("update marts_staging.awkward set amount = amount + 0.000001 where id = 7", "amount sum"),
        ("update marts_staging.awkward set text = replace(text, '😀', '?') where id = 7", "texts"),
        ("update marts_staging.fct_orders set ordered_at = null where order_key = 'o3'", "filled"),
    ],
)
def test_the_audit_refuses_a_defect_between_copy_and_swap(
    target: Target, ctx: Context, monkeypatch: pytest.MonkeyPatch, defect: str, said: str
) -> None:
    target.replicate(ctx)
    new_edition(ctx, 2)
    audit = replication._audit

    def damaged(con: Any, database: Database, marts: Any) -> None:
        target.ask(defect)
        audit(con, database, marts)

    with monkeypatch.context() as patched:
        patched.setattr(replication, "_audit", damaged)
        with pytest.raises(RunFailed, match=f"audit: .*{said}.*keep the version before"):
            target.replicate(ctx, anew=True)
    assert target.ask("select distinct edition from marts.notes") == [(1,)]
    assert target.replicate(ctx).travelled == ["notes", "replies"]
    assert target.ask("select distinct edition from marts.notes") == [(2,)]


def test_of_two_at_once_the_second_waits_names_the_holder_and_finds_it_done(
    target: Target, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on = threading.Event(), threading.Event()
    audit = replication._audit

    def slow(*arguments: Any) -> None:
        inside.set()
        assert go_on.wait(30)
        audit(*arguments)

    monkeypatch.setattr(replication, "_audit", slow)
    results: list[Any] = []
    first = threading.Thread(target=lambda: results.append(target.replicate(ctx)))
    first.start()
    assert inside.wait(30)
    with pytest.raises(RunFailed, match=r"marts is being written by .*session \d+"):
        target.replicate(ctx, wait_seconds=1)
    second = threading.Thread(target=lambda: results.append(target.replicate(ctx)))
    second.start()
    go_on.set()
    first.join(30)
    second.join(30)
    assert [result.outcome for result in results] == ["done", "nothing_new"]


def test_tables_of_somebody_else_are_not_touched(target: Target, ctx: Context) -> None:
    make = "create database" if target.server.kind == "mysql" else "create schema"
    target.ask(f"{make} marts")
    target.ask("create table marts.notes (theirs integer)")
    with pytest.raises(RunFailed, match="a table notes that Carelake did not write"):
        target.replicate(ctx)
    target.ask(f"{make} elsewhere_staging" if False else f"{make} elsewhere")
    target.ask("create table elsewhere.unrelated (theirs integer)")
    target.replicate(ctx, schema_name="elsewhere")
    assert "unrelated" in _tables(target, "elsewhere")
    assert target.ask("select count(*) from marts.notes") == [(0,)]
    staging = "drop database" if target.server.kind == "mysql" else "drop schema"
    target.ask(f"{staging} elsewhere_staging" + ("" if "database" in staging else " cascade"))


def test_a_server_that_is_away_or_refuses_is_named_without_the_password(
    target: Target, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunFailed, match=r"at 127\.0\.0\.1:1\D.*cannot be reached"):
        target.replicate(ctx, port=1)
    monkeypatch.setenv("REPLICA_PASSWORD", "not-the-one-7")
    with pytest.raises(RunFailed, match=r"cannot be reached .*(admin)") as refused:
        target.replicate(ctx)
    assert "not-the-one-7" not in str(refused.value)
    monkeypatch.delenv("REPLICA_PASSWORD")
    with pytest.raises(ConfigError, match="environment variable REPLICA_PASSWORD is not set"):
        target.replicate(ctx)


def test_a_reader_who_keeps_a_mart_open_is_named_and_the_next_run_mends(
    target: Target, ctx: Context
) -> None:
    target.replicate(ctx)
    ann = target.reader()
    target.ask("begin", ann)
    target.ask("select count(*) from marts.notes", ann)
    new_edition(ctx, 2)
    who = r"ann \(session \d+" if target.server.kind == "postgresql" else "readers"
    with pytest.raises(RunFailed, match=f"{who}.*kept the marts open for 2 s"):
        target.replicate(ctx, wait_seconds=2)
    assert target.ask("select max(edition) from marts.notes", ann) == [(1,)]
    target.ask("commit", ann)
    assert target.replicate(ctx).outcome == "done"
    assert target.ask("select max(edition) from marts.notes", ann) == [(2,)]
