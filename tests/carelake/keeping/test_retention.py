"""What is too old leaves the marts, then raw and landing; the marts do not notice the second."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from carelake.errors import ConfigError, RunFailed
from carelake.keeping.retention import EVENT_TIMES, apply
from carelake.landing import manifests
from carelake.settings import PROJECT, Context, prepare_environment
from carelake.warehouse import build as dbt
from carelake.warehouse.connection import connect, now_utc
from carelake.warehouse.load import load
from carelake.warehouse.publish import volatile_columns
from carelake.warehouse.published import marts_fingerprint
from carelake.warehouse.quarantine import replay
from carelake.warehouse.rebuild import drop_derived
from carelake.warehouse.recorded import admit_batches
from tests.carelake.keeping.conftest import extract_all

SOURCES = """
    sources:
      - name: chats
        kind: files
        path: inbox/chats-*.csv
        format: csv
        entity: communications
        channel: chat
        columns: {communication_id: id, direction: direction, body: text, sent_at: sent, updated_at: updated, is_deleted: gone, email: email}
      - {name: notes, kind: files, path: inbox/notes.csv, format: csv, entity: communications, channel: phone, columns: {body: text, sent_at: sent}}
      - {name: shop, kind: files, path: inbox/orders.csv, format: csv, entity: orders, columns: {order_id: id, amount: amount, ordered_at: sent, email: email}}
"""
HEADER = "id,direction,text,sent,updated,gone,email\n"
FIRST = """a,inbound,long ago,2022-01-01,,,a@x.example
b,inbound,first version,2024-06-01,2024-06-01,,b@x.example
c,inbound,alive,2024-05-01,2024-05-01,,c@x.example
d,inbound,new,2024-06-30 10:00,,,d@x.example
e,sideways,bad and old,2022-02-02,,,e@x.example
f,sideways,bad and new,2024-06-02,,,f@x.example
g,inbound,without a time,,,,g@x.example
"""
SECOND = """b,inbound,it was long ago,2022-06-01,2024-06-20,,b@x.example
c,inbound,deleted,2022-05-01,2024-06-20,true,c@x.example
h,inbound,old too,2021-01-01,,,h@x.example
"""
THIRD = """i,inbound,very old,2020-01-01,,,i@x.example
j,inbound,very old,2020-01-02,,,j@x.example
"""


@pytest.fixture
def ctx(tmp_path: Path, make_context: Callable[..., Context]) -> Iterator[Context]:
    with patch.dict(os.environ):
        ctx = make_context(SOURCES, settings="retention: {communications: 365}")
        prepare_environment(ctx.home)
        inbox = tmp_path / "inbox"
        inbox.mkdir()
        (inbox / "orders.csv").write_text("id,amount,sent,email\no1,5,2019-01-01,d@x.example\n")
        notes = (
            "text,sent\nsaid lately,2024-06-10\nsaid once,2020-01-01\n",
            "text,sent\nonce,2020-02-02\n",
        )
        for number, rows in enumerate((FIRST, SECOND, THIRD), start=1):
            (inbox / f"chats-{number}.csv").write_text(HEADER + rows)
            # the same file again, without what it said lately
            (inbox / "notes.csv").write_text(notes[min(number, 2) - 1])
            extract_all(ctx)
        load(ctx)
        yield ctx


def built(ctx: Context) -> dict[str, Any]:
    """Build, and give the fingerprint of what a reader would see."""
    with connect(ctx.home) as con:
        admit_batches(con, {}, now_utc())
    for layer in ("features", "marts"):
        dbt.build(ctx, layer)
    with connect(ctx.home) as con:
        assert con.execute(
            "select count(*) from marts.source_runs where not is_balanced"
        ).fetchone() == (0,)
        return marts_fingerprint(con, volatile_columns(ctx.home))


def ids(ctx: Context, relation: str) -> str:
    with connect(ctx.home) as con:
        rows = con.execute(
            f"select communication_id from {relation} where source_name = 'chats' order by all"
        ).fetchall()
    return "".join(row[0] for row in rows)


def rows(ctx: Context, query: str) -> list[tuple[Any, ...]]:
    with connect(ctx.home) as con:
        return con.execute(query).fetchall()


@pytest.mark.slow
def test_what_is_too_old_goes_from_marts_raw_and_landing_and_nothing_comes_back(
    ctx: Context,
) -> None:
    assert apply(ctx).n_rows == 0  # nothing was built, so nothing was left out
    before = built(ctx)
    changed = ctx.settings.model_copy(update={"retention": {"communications": 5}})
    with pytest.raises(RunFailed, match="not built under these limits"):
        apply(dataclasses.replace(ctx, settings=changed))
    assert ids(ctx, "staging.stg_communications") == "dg"
    assert ids(ctx, "raw.communications") == "abbccdefghij"  # left out, not removed
    assert rows(ctx, "select count(*) from staging.stg_orders") == [(1,)]  # no limit for orders

    dry = apply(ctx, dry_run=True)
    assert ids(ctx, "raw.communications") == "abbccdefghij"
    removed = apply(ctx)
    assert removed.n_rows == dry.n_rows == 9 + 3
    assert removed.n_files == 2 + 2  # two of three chats, both of notes
    # b and c are gone with all versions: neither correction nor deletion brings an older one back
    assert ids(ctx, "raw.communications") == "dfg"
    assert rows(ctx, "select body from raw.communications where source_name = 'notes'") == []
    assert rows(ctx, "select count(*) from raw.orders") == [(1,)]
    receipts = rows(ctx, "select sum(n_rows), sum(n_files), min(keep_days) from ops.retention")
    assert receipts == [(removed.n_rows, removed.n_files, 365)]
    ledger = "select sum(n_raw) - sum(n_expired) from ops.ledger"
    assert rows(ctx, ledger) == [(3 + 1,)]
    landed = {m.batch_id: m for m in manifests(ctx.home.landing)}
    assert [m.damage(ctx.home.landing) for m in landed.values() if m.damage(ctx.home.landing)] == []
    gone = landed["chats-000003"]
    assert gone.files[0].expired_at and gone.files[0].sha256
    assert [p.name for p in gone.folder(ctx.home.landing).iterdir()] == ["manifest.json"]
    assert apply(ctx).n_rows == 0

    # loaded again without what followed it, chats-000001 would bring b and c back
    with pytest.raises(ConfigError, match="retention removed rows of it"):
        replay(ctx, ["chats-000001"])
    assert replay(ctx) == []
    assert built(ctx) == before
    drop_derived(ctx)
    assert built(ctx) == before


def test_the_times_that_rows_grow_old_by_are_those_of_the_build() -> None:
    text = (PROJECT / "dbt_project" / "macros" / "moments.sql").read_text(encoding="utf-8")
    assert dict(re.findall(r"^        '(\w+)': '(.+)',$", text, re.MULTILINE)) == EVENT_TIMES


def test_a_limit_for_what_has_no_time_is_refused(make_context: Callable[..., Context]) -> None:
    with pytest.raises(ConfigError, match=r"carelake.yml: retention"):
        make_context("sources: []", settings="retention: {customers: 10}")
    with pytest.raises(ConfigError, match=r"carelake.yml: retention.orders"):
        make_context("sources: []", settings="retention: {orders: 0}")
