from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.dataset as ds

from carelake.warehouse.parquet import Parts, write_parquet

ORDERS = """
    select 'o' || i as order_key, timestamptz '2024-01-20 00:00:00+00' + to_days(i::integer) as ordered_at
    from range(40) as numbers (i)
    union all
    select 'undated', null
"""


def _write(
    folder: Path,
    query: str,
    before: Path | None = None,
    known: Parts | None = None,
    large: int = 10,
) -> Parts:
    folder.mkdir()
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute("attach ':memory:' as out; create schema out.marts")
        con.execute(f"create table out.marts.fct_orders as {query}")
        return write_parquet(con, "fct_orders", folder, before, known or {}, large)


def _inodes(folder: Path) -> dict[str, int]:
    return {
        path.parent.name: path.stat().st_ino for path in folder.rglob("*.parquet") if path.is_file()
    }


def test_only_the_month_that_changed_is_written_anew(tmp_path: Path) -> None:
    first = _write(tmp_path / "1", ORDERS)
    corrected = (
        f"select * replace (if(order_key = 'o5', 'o5b', order_key) as order_key) from ({ORDERS})"
    )
    _write(tmp_path / "2", corrected, tmp_path / "1", first)
    old, new = _inodes(tmp_path / "1"), _inodes(tmp_path / "2")
    assert set(old) == set(new) == {"month=2024-01", "month=2024-02", "month=undated"}
    assert {month for month in old if old[month] != new[month]} == {"month=2024-01"}
    keys = pd.read_parquet(tmp_path / "2" / "fct_orders.parquet")["order_key"]
    assert len(keys) == 41 and "o5b" in set(keys) and "o5" not in set(keys)


def test_a_month_that_is_gone_leaves_no_file(tmp_path: Path) -> None:
    first = _write(tmp_path / "1", ORDERS)
    fewer = f"select * from ({ORDERS}) where ordered_at >= timestamptz '2024-02-01 00:00:00+00'"
    _write(tmp_path / "2", fewer, tmp_path / "1", first)
    assert set(_inodes(tmp_path / "2")) == {"month=2024-02"}
    assert ds.dataset(tmp_path / "2" / "fct_orders.parquet").count_rows() == 28


def test_a_small_mart_is_one_file_linked_while_nothing_changes(tmp_path: Path) -> None:
    first = _write(tmp_path / "1", ORDERS, large=1000)
    _write(tmp_path / "2", ORDERS, tmp_path / "1", first, large=1000)
    files = [tmp_path / version / "fct_orders.parquet" for version in "12"]
    assert files[0].is_file() and files[0].stat().st_ino == files[1].stat().st_ino


def test_a_mart_that_outgrows_one_file_becomes_a_folder(tmp_path: Path) -> None:
    first = _write(tmp_path / "1", ORDERS, large=1000)
    _write(tmp_path / "2", ORDERS, tmp_path / "1", first)
    assert (tmp_path / "2" / "fct_orders.parquet").is_dir()
    assert (
        duckdb.read_parquet(str(tmp_path / "2" / "fct_orders.parquet" / "*" / "*.parquet")).shape[0]
        == 41
    )
