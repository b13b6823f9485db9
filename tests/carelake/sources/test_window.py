"""A restricted extract takes what came within it, and leaves the rest for the next one."""

from __future__ import annotations

import datetime as dt
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from carelake.errors import ConfigError
from carelake.landing import manifests
from carelake.settings import Context
from carelake.sources.extract import extract_source
from carelake.window import Window

NOTES = """
    sources:
      - {name: notes, kind: files, path: "inbox/*.csv", format: csv, entity: communications,
         columns: {communication_id: id, body: text}}
"""
DAY = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)


def put(folder: Path, name: str, came: dt.datetime) -> None:
    path = folder / "inbox" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"id,text\n{name},hallo\n", encoding="utf-8")
    os.utime(path, (came.timestamp(), came.timestamp()))


def days(first: int, last: int) -> Window:
    return Window(DAY + dt.timedelta(days=first), DAY + dt.timedelta(days=last))


def names(ctx: Context) -> list[list[str]]:
    return [[file.name for file in manifest.files] for manifest in manifests(ctx.home.landing)]


def extract(ctx: Context, window: Window = Window()) -> str:
    return extract_source(ctx.sources.sources[0], ctx.config_dir, ctx.home.landing, window).outcome


def test_neighbouring_windows_in_any_order_and_an_open_extract_take_every_file_once(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context(NOTES)
    for number in range(4):
        put(tmp_path, f"{number}.csv", DAY + dt.timedelta(days=number))
    assert extract(ctx, days(2, 3)) == "extracted"
    assert extract(ctx, days(0, 1)) == "extracted"
    assert extract(ctx, days(0, 1)) == "nothing_new"
    assert extract(ctx, days(1, 2)) == "extracted"
    assert extract(ctx) == "extracted"
    assert extract(ctx) == "nothing_new"
    assert names(ctx) == [["inbox/2.csv"], ["inbox/0.csv"], ["inbox/1.csv"], ["inbox/3.csv"]]
    found = manifests(ctx.home.landing)
    assert (found[0].since, found[0].until) == (days(2, 3).since, days(2, 3).until)
    # the cursor only ever grows
    seen = [set(manifest.cursor_after["files"]) for manifest in found]
    assert all(before < after for before, after in itertools.pairwise(seen))


def test_an_old_window_does_not_put_an_old_snapshot_in_the_place_of_a_newer_one(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context(NOTES.replace("columns:", "mode: snapshot, columns:"))
    put(tmp_path, "20240501.csv", DAY)
    put(tmp_path, "20240502.csv", DAY + dt.timedelta(days=1))
    assert extract(ctx, days(1, 2)) == "extracted"
    assert extract(ctx, days(0, 1)) == "nothing_new"
    assert names(ctx) == [["inbox/20240502.csv"]]


@pytest.mark.parametrize(
    ("since", "until", "fault"),
    [
        ("yesterday", None, "since: 'yesterday' is no time"),
        ("2024-05-02", "2024-05-01", "not after"),
    ],
)
def test_a_wrong_window_is_told(since: str, until: str | None, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        Window.parse(since, until)


def test_a_time_without_a_zone_is_utc_and_the_end_is_left_out() -> None:
    window = Window.parse("2024-05-01", "2024-05-02T08:00:00+08:00")
    assert window == days(0, 1)
    assert days(0, 1).since in window and days(0, 1).until not in window
