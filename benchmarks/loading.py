"""Load with quarantine, ledger and row positions, beside a bare `create table as select`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import Result, against, company, side

LIMIT = 2.2
FORMATS = {"bulk_messages": "CSV", "bulk_posts": "JSON lines"}


def measure(scratch: Path, records: int, tries: int) -> list[Result]:
    """One row per format; best of so many tries, taken in turns.

    Args:
        records: of the bulk sample; 35 % of them are in each of the two formats.
    """
    folder = company(scratch, records)
    results = []
    for source, name in FORMATS.items():
        ours, bare, rows = [], [], 0
        for _ in range(tries):
            found = side("load_source", scratch / "load", folder, source)
            ours.append(found["seconds"])
            rows = found["rows"]
            bare.append(side("bare_load", scratch / "bare", folder, source)["seconds"])
        results.append(
            against(
                f"load {rows:,} rows of {name}, with quarantine and row position",
                min(ours), min(bare), "DuckDB create table as select, no row position, no rejects", LIMIT,
            )
        )  # fmt: skip
    return results
