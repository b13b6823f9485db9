"""Marts as Parquet: only what changed since the last version is written, the rest is linked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import duckdb

from carelake.warehouse.connection import ident, literal

MONTH_OF = {
    "fct_communications": "sent_at",
    "fct_conversations": "opened_at",
    "fct_orders": "ordered_at",
    "fct_survey_responses": "responded_at",
}
"""Marts that grow, and the time (UTC) whose month a row of a large one is filed under."""
UNDATED = "undated"
Parts = dict[str, str]
"""Month, or '' for a mart of one file, to the fingerprint of its rows: 'count:sum of hashes'."""


def write_parquet(
    con: duckdb.DuckDBPyConnection,
    mart: str,
    draft: Path,
    before: Path | None,
    known: Parts,
    month_from: int,
) -> Parts:
    """Write `out.marts.<mart>` below a draft; gives the fingerprint of each part.

    A mart with more than `month_from` rows becomes a folder `<mart>.parquet/month=2024-05/`, which
    pandas, Arrow, DuckDB and Spark read as one table; a smaller one is one file.

    Args:
        before: folder of the version before, whose unchanged files are linked.
        known: the fingerprints of its parts.
    """
    moment = MONTH_OF.get(mart)
    month = f"coalesce(strftime({moment}, '%Y-%m'), '{UNDATED}')" if moment else "''"
    parts = _parts(con, mart, month)
    if sum(int(part.split(":")[0]) for part in parts.values()) <= month_from:
        month, parts = "''", _parts(con, mart, "''") or {"": "0:0"}
    place = draft / f"{mart}.parquet"
    old = before / place.name if before else None
    linked = {
        part for part in parts if old and parts[part] == known.get(part) and _link(old, place, part)
    }
    changed = sorted(set(parts) - linked)
    if "" in changed:
        con.execute(f"copy out.marts.{mart} to {literal(str(place))} (format parquet)")
    elif changed:
        chosen = ", ".join(literal(part) for part in changed)
        rows = f"select *, {month} as month from out.marts.{mart} where month in ({chosen})"
        con.execute(
            f"copy ({rows}) to {literal(str(place))} "
            "(format parquet, partition_by (month), overwrite_or_ignore true)"
        )
    return parts


def _parts(con: duckdb.DuckDBPyConnection, mart: str, month: str) -> Parts:
    rows = con.execute(
        f"select {month} as month, count(*), sum(hash(t)::hugeint) from out.marts.{ident(mart)} as t "
        "group by month"
    ).fetchall()
    return {part: f"{count}:{total}" for part, count, total in rows}


def _link(old: Path, new: Path, part: str) -> bool:
    """Take a part over from the version before; False where there is none to take."""
    if not part:
        return old.is_file() and _link_or_copy(old, new)
    folder = old / f"month={part}"
    if not folder.is_dir():
        return False
    target = new / folder.name
    target.mkdir(parents=True)
    return all(_link_or_copy(path, target / path.name) for path in folder.iterdir())


def _link_or_copy(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
    return True
