from __future__ import annotations

import json

import duckdb
import pytest

from carelake.errors import RunFailed
from carelake.settings import Context
from carelake.warehouse.publish import current_version, publish, rollback, versions
from carelake.warehouse.published import published_fingerprint, read_only
from tests.small_marts import ROWS, block, edition, write


def test_nothing_new_publishes_nothing_even_when_clock_columns_moved(ctx: Context) -> None:
    assert publish(ctx).version == 1
    write(ctx, 1)
    again = publish(ctx)
    assert (again.published, again.version, versions(ctx.home)) == (False, 1, [1])


def test_readers_find_a_mart_by_any_name_and_its_comments_with_it(ctx: Context) -> None:
    publish(ctx)
    with duckdb.connect(str(ctx.home.published / "marts.duckdb"), read_only=True) as con:
        assert con.execute("select count(*) from notes").fetchone() == (ROWS + 1,)
        assert con.execute("select count(*) from marts.marts.notes").fetchone() == (ROWS + 1,)
        comments = con.execute(
            "select comment from duckdb_columns() where comment is not null"
        ).fetchall()
        assert ("It's the edition",) in comments
        said = con.execute("select mart, definition from meta.metric_definitions").fetchall()
        assert ("notes", "It's the edition") in said
        settings = dict(con.execute("select key, value from meta.settings").fetchall())
        assert settings["reply_within_minutes.chat"] == "3"
        assert settings["business_hours.mon"] == "09:00-18:00"
    with read_only(ctx.home) as con:
        assert con.execute("select count(*) from marts.notes").fetchone() == (ROWS + 1,)
    parquet = ctx.home.published / "current" / "notes.parquet"
    assert duckdb.read_parquet(str(parquet)).count("*").fetchone() == (ROWS + 1,)


def test_rollback_holds_publishing_until_it_is_released(ctx: Context) -> None:
    publish(ctx)
    write(ctx, 2)
    publish(ctx)
    assert edition(ctx) == 2
    assert rollback(ctx).version == 1
    assert edition(ctx) == 1
    write(ctx, 3)
    with pytest.raises(RunFailed, match="held.*--release"):
        publish(ctx)
    assert edition(ctx) == 1
    assert publish(ctx, release=True).version == 3
    assert edition(ctx) == 3


def test_there_is_nothing_before_the_first_version(ctx: Context) -> None:
    publish(ctx)
    with pytest.raises(RunFailed, match="no earlier version"):
        rollback(ctx)


def test_only_the_kept_versions_stay(ctx: Context) -> None:
    for number in range(1, 7):
        write(ctx, number)
        publish(ctx)
    assert versions(ctx.home) == [4, 5, 6]
    assert current_version(ctx.home) == 6


def test_a_publication_that_died_half_way_is_never_seen_and_the_next_one_succeeds(
    ctx: Context,
) -> None:
    publish(ctx)
    torn = ctx.home.published / "versions" / "000002.part"
    torn.mkdir()
    (torn / "marts.duckdb").write_bytes(b"torn")
    write(ctx, 2)
    assert publish(ctx).version == 2
    assert edition(ctx) == 2
    assert not torn.exists()


def test_a_gate_that_blocks_stops_publishing_with_its_reason(ctx: Context) -> None:
    publish(ctx)
    write(ctx, 2)
    block(ctx, "too few rows")
    with pytest.raises(RunFailed, match="stopped by a gate: too few rows"):
        publish(ctx)
    assert edition(ctx) == 1


def test_the_fingerprint_of_the_file_is_that_of_the_warehouse(ctx: Context) -> None:
    publish(ctx)
    found = published_fingerprint(ctx.home)
    assert found["notes"]["rows"] == ROWS + 1
    publication = json.loads((ctx.home.published / "current" / "publication.json").read_text())
    assert publication["fingerprint"] == found
