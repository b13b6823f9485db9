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
