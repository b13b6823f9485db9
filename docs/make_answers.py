"""Put the answer under every SQL block of the docs, from a home that holds the sample.

    carelake sample demo && CARELAKE_SOURCES=demo/sources.yml carelake run
    python docs/make_answers.py

A Markdown table right below a block of SQL is its answer; it is written anew.
"""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import duckdb

from carelake.settings import Home
from carelake.warehouse.published import read_only

DOCS = Path(__file__).parent
PAGES = ("analyst.md", "ml-engineer.md", "care-manager.md")
BLOCK = re.compile(
    r"^```sql\n(?P<query>.*?)\n```\n(?:\n(?:\|[^\n]*\n)+)?", re.DOTALL | re.MULTILINE
)


def queries(page: str) -> list[str]:
    """The SQL blocks of a page, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [match["query"] for match in BLOCK.finditer(text)]


def answered(text: str, con: duckdb.DuckDBPyConnection) -> str:
    """A page's text with the answer below every block."""
    return BLOCK.sub(
        lambda match: f"```sql\n{match['query']}\n```\n\n{_table(con, match['query'])}", text
    )


def _table(con: duckdb.DuckDBPyConnection, query: str) -> str:
    result = con.execute(query)
    names = [column[0] for column in result.description or []]
    rows = result.fetchall()
    numbers = [any(isinstance(row[i], int | float) for row in rows) for i in range(len(names))]
    lines = [names, ["--:" if number else "---" for number in numbers]]
    lines += [[_cell(value) for value in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return " ".join(str(value).split()).replace("|", "\\|")


def main() -> None:
    """Answer every page."""
    with read_only(Home.from_environment()) as con:
        for page in PAGES:
            path = DOCS / page
            path.write_text(answered(path.read_text(encoding="utf-8"), con), encoding="utf-8")
            print(f"{path}: {len(queries(page))} answers")


if __name__ == "__main__":
    main()
