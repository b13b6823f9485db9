"""Kinds `postgres` and `mysql`: what is new, what comes late, windows, snapshots, counts."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from carelake.landing import manifests
from carelake.sources.counting import Counted
from carelake.sources.database import count
from carelake.sources.patience import Refused
from carelake.window import Window
from tests.carelake.sources.databases.tickets import (
    BY_ID,
    BY_TIME,
    EPOCH,
    Database,
    a_source,
    extract,
    ids,
    landed,
)

pytestmark = pytest.mark.slow


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


def test_rows_are_counted_from_where_the_first_reading_begins(
    shop: Database, tmp_path: Path
) -> None:
    shop.fill(1, 20)
    assert count(a_source(shop.kind), tmp_path) == Counted(20, "all")
    initial = EPOCH + dt.timedelta(minutes=11)
    later = a_source(
        shop.kind, database={"incremental": {"column": "at", "initial": initial.isoformat()}}
    )
    assert count(later, tmp_path) == Counted(10, f"from {initial.isoformat()} on")
    asked = a_source(shop.kind, database={"query": "select * from tickets where id > 15 -- ours"})
    assert count(asked, tmp_path) == Counted(5)
    with pytest.raises(Refused, match="nowhere"):
        count(a_source(shop.kind, database={"table": "nowhere"}), tmp_path)
