"""Feature files kept for training runs: saved with a home, and gone with what they hold."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from carelake.keeping import tidy as tidying
from carelake.keeping.backup import backup
from carelake.keeping.kept_features import outdated
from carelake.keeping.restore import restore
from carelake.settings import Context, Home
from carelake.warehouse.connection import connect

FILES = {
    "conversations": "select 'c1' as conversation_key, timestamptz '2024-05-01 00:00:00+00' as opened_at, "
    "'it broke' as text, null::varchar as comment, null::timestamptz as label_at",
    "customers": "select 'anna' as customer_key",
    "sentiment": "select 's1' as sentiment_key, 'survey' as told_by, "
    "timestamptz '2024-05-03 00:00:00+00' as told_at",
}


@pytest.fixture
def kept(lake: Context) -> Path:
    """One kept folder, of rows that the last build knows."""
    folder = lake.home.kept_features / "f00d"
    folder.mkdir(parents=True)
    with connect(lake.home) as con:
        con.execute("create schema if not exists features")
        con.execute("create schema if not exists staging")
        for name, rows in FILES.items():
            con.execute(f"copy ({rows}) to '{folder / name}.parquet' (format parquet)")
            con.execute(f"create or replace table features.features_{name} as {rows}")
        con.execute(
            "create or replace table staging.stg_retention (entity varchar, keep_from timestamptz)"
        )
    return folder  # fmt: skip


def found(lake: Context, change: str = "select 1") -> list[str]:
    with connect(lake.home) as con:
        con.execute(change)
        return [folder.name for folder in outdated(lake.home, con)]


def test_they_are_in_a_backup_and_in_the_home_it_becomes(
    lake: Context, kept: Path, tmp_path: Path
) -> None:
    (kept.parent / "bad.part").mkdir()
    (kept.parent / "bad.part" / "conversations.parquet").write_bytes(b"half")
    first = backup(lake, tmp_path / "one")
    assert sorted(name for name in first.manifest.files if name.startswith("ml/kept")) == [
        f"ml/kept/f00d/{name}.parquet" for name in sorted(FILES)
    ]
    there = Home(tmp_path / "there")
    restore(first.path, there)
    for name in FILES:
        restored = there.kept_features / "f00d" / f"{name}.parquet"
        assert restored.read_bytes() == (kept / f"{name}.parquet").read_bytes()
    second = backup(lake, tmp_path / "two", base=first.path)
    same = [each.path / "ml/kept/f00d/customers.parquet" for each in (first, second)]
    assert same[0].samefile(same[1])


@pytest.mark.parametrize(
    "change",
    [
        "delete from features.features_conversations",
        "delete from features.features_customers",
        "delete from features.features_sentiment",
        "insert into staging.stg_retention values ('communications', '2024-05-02 00:00:00+00')",
        "insert into staging.stg_retention values ('survey_responses', '2024-05-04 00:00:00+00')",
    ],
)
def test_they_go_with_a_row_that_is_gone_or_a_text_that_is_too_old(
    lake: Context, kept: Path, change: str
) -> None:
    assert found(lake) == []
    assert found(lake, change) == ["f00d"]
    told = [each for each in tidying.tidy(lake, dry_run=True) if each.kind == "features"]
    assert [each.n for each in told] == [1] and kept.exists()
    tidying.tidy(lake)
    assert not kept.exists()


@pytest.mark.parametrize(
    "change",
    [
        "insert into staging.stg_retention values ('communications', '2024-05-01 00:00:00+00')",
        "insert into staging.stg_retention values ('orders', '2024-06-01 00:00:00+00')",
        "drop table features.features_conversations",  # a rebuild is under way: nobody knows
        "insert into features.features_customers values ('bo')",
    ],
)
def test_they_stay_while_all_of_them_may_be_kept(lake: Context, kept: Path, change: str) -> None:
    assert found(lake, change) == []


def test_a_customer_who_was_joined_with_another_is_not_gone(lake: Context, kept: Path) -> None:
    change = (
        "create schema if not exists marts; update features.features_customers set customer_key = 'bo'; "
        "create or replace table marts.customer_redirects as select 'anna' as old_customer_key, 'bo' as customer_key"
    )
    assert found(lake, change) == []


def test_a_folder_of_an_earlier_carelake_has_fewer_files(lake: Context, kept: Path) -> None:
    (kept / "sentiment.parquet").unlink()
    assert found(lake) == []
    assert duckdb.sql(f"from '{kept / 'customers.parquet'}'").fetchall() == [("anna",)]
