"""Recorded answers of services, landed as pages and loaded by their kind."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import pytest

from carelake.settings import Context
from carelake.source import Source
from carelake.sources.batches import begin_extract, write_batch
from carelake.warehouse.load import load
from carelake.window import EVERYTHING

FIXTURES = Path(__file__).parents[3] / "shared/data/api_fixtures"


def recorded(name: str) -> str:
    """One recorded answer."""
    path = FIXTURES / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    return path.read_text(encoding="utf-8")


def landed(ctx: Context, source: Source, pages: list[str], folder: Path) -> None:
    """Land pages as a reading does: one after another in a file."""
    path = folder / f"{source.name}.json"
    path.write_text("\n".join(pages), encoding="utf-8")
    with begin_extract(ctx.home.landing, source.name) as place:
        write_batch(
            place.landing,
            source,
            [(path.name, path)],
            number=place.number,
            extracted_at=dt.datetime.now(dt.UTC),
            cursor_before=place.cursor,
            cursor_after={},
            window=EVERYTHING,
        )


def loaded(ctx: Context, table: str) -> list[dict[str, Any]]:
    """The rows of a raw table."""
    for result in load(ctx):
        assert result.held_reason is None and not result.n_rejects, result
    with duckdb.connect(str(ctx.home.warehouse), read_only=True) as con:
        found = con.execute(f"from raw.{table} order by file_name, row_number")
        names = [column[0] for column in found.description or []]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
