"""Bulk rows are plain, consistent with one another, and written fast."""

from __future__ import annotations

import time
from pathlib import Path

import duckdb
import pytest

from carelake.sample import bulk, write_bulk
from carelake.source_list import SourceList


def test_bulk_has_the_rows_asked_for_and_a_mapping_that_fits(tmp_path: Path) -> None:
    summary = write_bulk(tmp_path, 10_000)
    assert sum(summary.rows.values()) == 10_000
    for source in SourceList.load(tmp_path / "sources.yml").sources:
        reader = "read_csv" if source.format == "csv" else "read_json"
        found = duckdb.sql(f"select * from {reader}('{tmp_path / source.path}')")
        assert found.shape[0] == summary.rows[source.name]
        assert set(source.columns.values()) <= set(found.columns)
        ids = duckdb.sql(f"select count(distinct {source.columns[source.id_column]}) from found")
        assert ids.fetchall() == [(found.shape[0],)]


def test_rows_do_not_depend_on_where_files_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bulk(tmp_path / "whole", 4_000)
    monkeypatch.setattr(bulk, "CHUNK", 500)
    write_bulk(tmp_path / "cut", 4_000)
    parts = sorted((tmp_path / "cut/bulk").glob("posts-*.jsonl"))
    assert len(parts) == 3
    whole = (tmp_path / "whole/bulk/posts-0001.jsonl").read_bytes()
    assert b"".join(path.read_bytes() for path in parts) == whole


def _moments(folder: Path) -> tuple[str, str, int]:
    files = f"{folder}/bulk/orders-*.csv"
    row = duckdb.sql(
        f"select min(placed_at)::varchar, max(placed_at)::varchar, count(*) from read_csv('{files}')"
    ).fetchone()
    assert row
    return row


def test_what_comes_after_happened_after_unless_it_is_late(tmp_path: Path) -> None:
    for name in ("next", "late"):
        write_bulk(tmp_path / name, 10_000)
    _, end, n_first = _moments(tmp_path / "next")
    write_bulk(tmp_path / "next", 1_000, after=10_000)
    write_bulk(tmp_path / "late", 1_000, after=10_000, late=True)
    _, later, n_next = _moments(tmp_path / "next")
    _, late, n_late = _moments(tmp_path / "late")
    assert n_next == n_late == n_first + 130
    assert end < "2024-12-26" < later < "2025-01-31"
    assert late < "2024-12-26"
    for name in ("next", "late"):
        answers = f"read_csv('{tmp_path / name}/bulk/surveys-*.csv')"
        messages = f"read_csv('{tmp_path / name}/bulk/messages-*.csv')"
        strangers = duckdb.sql(
            f"select answer_no from {answers} "
            f"where conversation_id not in (select conversation_id from {messages})"
        )
        assert not strangers.fetchall()


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least"):
        write_bulk(tmp_path, 10)


@pytest.mark.slow
def test_two_million_rows_take_a_fifth_of_the_two_minutes_allowed_for_ten(
    tmp_path: Path,
) -> None:
    began = time.monotonic()
    write_bulk(tmp_path, 2_000_000)
    assert time.monotonic() - began < 24
