from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from carelake.errors import RunFailed
from carelake.settings import Context
from carelake.warehouse.publish import current_version, publish, rollback, versions
from carelake.warehouse.published import published_fingerprint, read_only

READER = """
import sys, time, duckdb
path, stop, reads = sys.argv[1], sys.argv[2], 0
import pathlib
while not pathlib.Path(stop).exists():
    con = duckdb.connect(path, read_only=True)
    n, least, most = con.execute("select count(*), min(edition), max(edition) from marts.marts.notes").fetchone()
    assert n == 2000 and least == most, (n, least, most)
    con.close()
    reads += 1
print(reads)
"""


@pytest.fixture
def ctx(make_context: Callable[..., Context]) -> Context:
    """A home whose warehouse holds one small mart, as a build would leave it."""
    ctx = make_context("sources: []", settings="kept_versions: 3")
    target = ctx.home.dbt / "target"
    target.mkdir(parents=True, exist_ok=True)
    node = {"resource_type": "model", "schema": "marts", "name": "notes"}
    columns = {"id": {}, "edition": {}, "made_at": {"config": {"meta": {"volatile": True}}}}
    (target / "manifest.json").write_text(
        json.dumps({"nodes": {"notes": {**node, "columns": columns}}})
    )
    with duckdb.connect(str(ctx.home.warehouse)) as con:
        con.execute("create schema marts; create schema intermediate")
        con.execute(
            "create table intermediate.int_as_of as select timestamptz '2024-05-01 00:00:00+00' as as_of"
        )
        for model in ("int_contact_vault", "int_communication_texts"):
            con.execute(f"create table intermediate.{model} as select 'secret' as value")
    write(ctx, 1)
    return ctx


def write(ctx: Context, edition: int) -> None:
    with duckdb.connect(str(ctx.home.warehouse)) as con:
        con.execute(
            f"create or replace table marts.notes as select range as id, {edition} as edition, "
            "now() as made_at from range(2000)"
        )
        con.execute("comment on column marts.notes.edition is 'It''s the edition'")


def edition(ctx: Context) -> int:
    with read_only(ctx.home) as con:
        row = con.execute("select distinct edition from notes").fetchone()
        assert row is not None
        return int(row[0])


def test_nothing_new_publishes_nothing_even_when_clock_columns_moved(ctx: Context) -> None:
    assert publish(ctx).version == 1
    write(ctx, 1)
    again = publish(ctx)
    assert (again.published, again.version, versions(ctx.home)) == (False, 1, [1])


def test_readers_find_a_mart_by_any_name_and_its_comments_with_it(ctx: Context) -> None:
    publish(ctx)
    with duckdb.connect(str(ctx.home.published / "marts.duckdb"), read_only=True) as con:
        assert con.execute("select count(*) from notes").fetchone() == (2000,)
        assert con.execute("select count(*) from marts.marts.notes").fetchone() == (2000,)
        comments = con.execute(
            "select comment from duckdb_columns() where comment is not null"
        ).fetchall()
        assert ("It's the edition",) in comments
    with read_only(ctx.home) as con:
        assert con.execute("select count(*) from marts.notes").fetchone() == (2000,)
    parquet = ctx.home.published / "current" / "notes.parquet"
    assert duckdb.read_parquet(str(parquet)).count("*").fetchone() == (2000,)


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
    with duckdb.connect(str(ctx.home.warehouse)) as con:
        con.execute("insert or replace into ops.state values ('publish_blocked', 'too few rows')")
    with pytest.raises(RunFailed, match="stopped by a gate: too few rows"):
        publish(ctx)
    assert edition(ctx) == 1


def test_the_fingerprint_of_the_file_is_that_of_the_warehouse(ctx: Context) -> None:
    publish(ctx)
    found = published_fingerprint(ctx.home)
    assert found["notes"]["rows"] == 2000
    publication = json.loads((ctx.home.published / "current" / "publication.json").read_text())
    assert publication["fingerprint"] == found


def test_readers_see_only_whole_versions_while_versions_are_published(
    ctx: Context, tmp_path: Path
) -> None:
    publish(ctx)
    stop = tmp_path / "stop"
    path = str(ctx.home.published / "marts.duckdb")
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, path, str(stop)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for number in range(2, 14):
            write(ctx, number)
            publish(ctx)
            time.sleep(0.05)
    finally:
        stop.touch()
        outcomes = [reader.communicate(timeout=60) for reader in readers]
    for reader, (out, err) in zip(readers, outcomes, strict=True):
        assert reader.returncode == 0, err
        assert int(out) > 5
