"""The figures of docs/performance.md are those of the last benchmark."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import PARTS
from benchmarks.page import with_figures

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_shows_the_figures_that_were_measured() -> None:
    rows = json.loads((ROOT / "benchmarks" / "results" / "latest.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert {"loading", "building", "memory"} <= {row["part"] for row in rows} <= set(PARTS)
    assert with_figures(page, rows) == page


def test_a_figure_over_its_limit_is_shown_as_such_and_replaces_the_one_before() -> None:
    row = {"part": "loading", "name": "load", "peer_name": "bare", "limit": 2.2}
    slow = with_figures(
        "<!-- loading -->\n<!-- /loading -->\nend\n",
        [{**row, "ours": 5, "peer": 2, "ratio": 2.5, "ok": False}],
    )
    assert "| load | 5 s | 2 s: bare | 2.5 | 2.2 | **no** |" in slow
    quick = with_figures(slow, [{**row, "ours": 4, "peer": 2, "ratio": 2, "ok": True}])
    assert "| load | 4 s | 2 s: bare | 2 | 2.2 | yes |" in quick
    assert "2.5" not in quick and quick.endswith("<!-- /loading -->\nend\n")


def test_a_part_without_a_place_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no place for loading"):
        with_figures("nothing here", [{"part": "loading"}])
