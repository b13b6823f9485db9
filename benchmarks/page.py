"""The tables of docs/performance.md, made of the figures themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

UNTIMED = {"soak", "arrival"}
"""Parts whose comparisons are not of seconds."""


def with_figures(page: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """The page with each part's table between its marks, `<!-- loading -->` to `<!-- /loading -->`.

    Parts without a figure keep the table they have.
    """
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        parts.setdefault(row["part"], []).append(row)
    for part, found in parts.items():
        first, last = f"<!-- {part} -->\n", f"<!-- /{part} -->"
        before, _, rest = page.partition(first)
        _, mark, after = rest.partition(last)
        if not mark:
            raise ValueError(f"the page has no place for {part}: {first.strip()} to {last}")
        page = before + first + _table(found) + last + after
    return page


def _table(rows: Iterable[Mapping[str, Any]]) -> str:
    lines = ["| what | ours | beside it | ratio | limit | kept |", "|---|---|---|---|---|---|"]
    for row in rows:
        # a peer's name holds the unit of what is not timed
        unit = "" if row["part"] in UNTIMED else " s"
        alone = row["peer"] is None
        ours = f"{row['ours']:g} {row['peer_name']}" if alone else f"{row['ours']:g}{unit}"
        beside = "" if alone else f"{row['peer']:g}{unit}: {row['peer_name']}"
        kept = {None: "", True: "yes", False: "**no**"}[row["ok"]]
        cells = (row["name"], ours, beside, _number(row["ratio"]), _number(row["limit"]), kept)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
