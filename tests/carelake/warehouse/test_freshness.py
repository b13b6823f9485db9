"""A source that goes quiet is told of at its limits, by a clock that the test sets."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from carelake import pipeline
from carelake.errors import ConfigError, RunFailed
from carelake.progress import Progress
from carelake.reports.status import print_status
from carelake.settings import Context
from carelake.steps import giving_out
from carelake.warehouse.banner import holds_back, raise_banner, read_banner
from carelake.warehouse.freshness import arrivals, freshness
from carelake.warehouse.publish import current_version, publish, rollback
from carelake.warehouse.published import published_fingerprint
from tests import small_marts

SOURCES = """
    sources:
      - {name: shop, kind: files, path: shop/*.csv, format: csv, entity: customers,
         columns: {customer_id: id}, freshness: {warn: 26h, block: 3d}}
      - {name: till, kind: files, path: till/*.csv, format: csv, entity: orders,
         columns: {order_id: id}, freshness: {block: 2w}}
      - {name: desk, kind: files, path: desk/*.csv, format: csv, entity: agents, columns: {agent_id: id}}
"""
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def lake(make_context: Callable[..., Context], tmp_path: Path) -> Context:
    """Two sources that brought a file each, one that never did, and marts that are published."""
    for name in ("shop", "till", "desk"):
        (tmp_path / name).mkdir()
    for name in ("shop", "desk"):
        (tmp_path / name / "1.csv").write_text("id\n1\n2\n")
    ctx = make_context(SOURCES)
    small_marts.make(ctx)
    for name in ("extract", "load"):
        pipeline.perform(ctx, name, Progress())
    publish(ctx)
    return ctx


def states(ctx: Context, now: dt.datetime) -> dict[str, str]:
    return {one.source: one.state for one in freshness(ctx, now)}


def test_age_is_counted_from_the_newest_arrival_and_held_against_both_limits(lake: Context) -> None:
    arrived = arrivals(lake.home)["shop"]
    assert states(lake, arrived) == {"shop": "fresh", "till": "warn", "desk": "unwatched"}
    assert states(lake, arrived + 26 * HOUR)["shop"] == "fresh"
    assert states(lake, arrived + 26.1 * HOUR)["shop"] == "warn"
    assert states(lake, arrived + 72.1 * HOUR)["shop"] == "block"
    found = {one.source: one for one in freshness(lake, arrived + 76.5 * HOUR)}
    since = f"{arrived:%Y-%m-%d %H:%M} UTC"
    assert found["shop"].message == f"has brought nothing for 3 d 4 h (block: 3d), since {since}"
    assert found["till"].message == "has brought nothing yet"
    assert found["desk"].message == ""


def test_a_held_batch_and_one_without_records_are_no_arrival(lake: Context, tmp_path: Path) -> None:
    before = arrivals(lake.home)["shop"]
    (tmp_path / "shop" / "2.csv").write_text("id\n")
    (tmp_path / "shop" / "3.csv").write_text("id\n3\n")
    for name in ("extract", "load"):
        pipeline.perform(lake, name, Progress())
    after = arrivals(lake.home)["shop"]
    assert after > before
    lake.home.ops.chmod(0o644)
    with duckdb.connect(str(lake.home.ops)) as con:
        con.execute("update ledger set status = 'held' where batch_id = 'shop-000002'")
    assert arrivals(lake.home)["shop"] == before
    with duckdb.connect(str(lake.home.ops)) as con:
        con.execute(
            "update ledger set status = 'loaded', n_physical = 0 where batch_id = 'shop-000002'"
        )
    assert arrivals(lake.home)["shop"] == before


def test_a_blocked_source_fails_the_check_and_readers_are_told_until_it_speaks_again(
    lake: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrived = arrivals(lake.home)["shop"]
    late = arrived + 80 * HOUR
    assert giving_out.check_freshness(lake, Progress(), now=arrived).details == {
        "till": "has brought nothing yet"
    }
    assert current_version(lake.home) == 1
    data = published_fingerprint(lake.home)
    for _ in range(2):  # told once
        with pytest.raises(RunFailed, match=r"freshness: shop has brought nothing for 3 d 8 h"):
            giving_out.check_freshness(lake, Progress(), now=late)
    told = f"shop has brought nothing since {arrived:%Y-%m-%d %H:%M} UTC: what the marts say of it is old"
    assert (current_version(lake.home), read_banner(lake.home)) == (2, told)
    assert published_fingerprint(lake.home) == data

    # another source's DAG is not failed by it, and says the same to readers
    assert giving_out.check_freshness(lake, Progress(), ["till"], now=late).rows == 1
    assert current_version(lake.home) == 2

    # silence is no reason to build, and an unchanged publication leaves the banner where it is
    assert not holds_back(lake.home)
    assert publish(lake).published is False
    assert read_banner(lake.home) == told

    # newer data of others takes its place; the next check says it again
    small_marts.write(lake, 2)
    publish(lake)
    assert (current_version(lake.home), read_banner(lake.home)) == (3, None)
    with pytest.raises(RunFailed):
        giving_out.check_freshness(lake, Progress(), now=late)
    assert (current_version(lake.home), read_banner(lake.home)) == (4, told)

    # a failed build has the word; after it, silence does again
    raise_banner(lake, "gate marts: too few rows")
    assert "newer data is held back" in str(read_banner(lake.home))
    with pytest.raises(RunFailed):
        giving_out.check_freshness(lake, Progress(), now=late)
    assert holds_back(lake.home)
    publish(lake)
    assert read_banner(lake.home) is None

    # it speaks again: the banner goes with the check, and a rollback finds the data before
    with pytest.raises(RunFailed):
        giving_out.check_freshness(lake, Progress(), now=late)
    (tmp_path / "shop" / "2.csv").write_text("id\n3\n")
    for name in ("extract", "load", "check_freshness"):
        pipeline.perform(lake, name, Progress())
    assert read_banner(lake.home) is None
    small_marts.write(lake, 3)
    publish(lake)
    rollback(lake)
    assert (small_marts.edition(lake), read_banner(lake.home)) == (2, None)


def test_status_names_a_quiet_source(
    lake: Context, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    late = arrivals(lake.home)["shop"] + 80 * HOUR
    monkeypatch.setattr("carelake.reports.status.now_utc", lambda: late)
    print_status(lake)
    assert "(block: 3d)" in capsys.readouterr().out
    print_status(lake, as_json=True)
    state = json.loads(capsys.readouterr().out)
    notes = {row["source"]: row["note"] for row in state["sources"]}
    assert notes["shop"].startswith("has brought nothing for 3 d 8 h (block: 3d), since ")
    assert (
        notes["till"].endswith("; has brought nothing yet") and "no file matches" in notes["till"]
    )
    assert notes["desk"] == ""
    assert {one["source"]: one["state"] for one in state["freshness"]} == {
        "shop": "block",
        "till": "warn",
    }


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ("{warn: 26}", "'26' is no length of time; write 90m, 26h, 3d or 2w"),
        ("{warn: 1.5h}", "'1.5h' is no length of time"),
        ("{warn: 3d, block: 26h}", "warn 3d is longer than block 26h; swap them"),
        ("{}", "has no limit; write warn: 26h"),
        ("{warm: 26h}", "unknown key"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_by_name(
    make_context: Callable[..., Context], limits: str, message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        make_context(SOURCES.replace("{block: 2w}", limits))
    assert "source 'till'.freshness" in str(refused.value)
    assert message in str(refused.value)


def test_another_limit_is_no_reason_to_build(make_context: Callable[..., Context]) -> None:
    ctx, other = make_context(SOURCES), make_context(SOURCES.replace("26h", "27h"))
    assert ctx.sources.model_dump_json() == other.sources.model_dump_json()
