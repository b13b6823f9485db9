"""From files to marts: the slope, a daily increment, and memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from benchmarks.measure import Result, against, alone, company, side
from carelake.sample import write_bulk

SLOPE_LIMIT = 3.0
INCREMENT_LIMIT = 0.25
MEMORY_LIMIT_GB = 6.0
MEMORY_SETTING = "4GB"
"""For DuckDB; Python and its libraries come on top."""
DLT_ROWS = 50_000


def measure(scratch: Path, small: int, large: int) -> list[Result]:
    """Slope between two sizes beside the hand-written script, and an increment of 1 % on the larger."""
    ours, hand = {}, {}
    for records in (small, large):
        folder, root = company(scratch, records), scratch / f"home-{records}"
        shutil.rmtree(root, ignore_errors=True)
        ours[records] = side("ours", root, folder)
        hand[records] = side("hand_written", root, folder)
        if ours[records]["marts"] != hand[records]["marts"]:
            raise RuntimeError("the hand-written script gives other marts than ours")
    span = f"{small / 1e6:g} M to {large / 1e6:g} M records"
    results = [
        against(
            f"files to marts, growth from {span}",
            ours[large]["to_marts"] - ours[small]["to_marts"],
            hand[large]["to_marts"] - hand[small]["to_marts"],
            "a hand-written DuckDB script, the same eleven marts row for row",
            SLOPE_LIMIT,
        ),
        against(
            f"files to marts, {large / 1e6:g} M records",
            ours[large]["to_marts"], hand[large]["to_marts"], "the same script",
        ),
        alone(
            f"publish {large / 1e6:g} M records the first time", ours[large]["steps"]["publish"], "seconds"
        ),
    ]  # fmt: skip
    return results + _increment(scratch, large, ours[large]) + _others(scratch, large, ours[large])


def _increment(scratch: Path, records: int, full: dict[str, Any]) -> list[Result]:
    """A hundredth more: what comes after all others, then as much again from anywhere in the year."""
    folder, root = scratch / f"company-{records}", scratch / f"home-{records}"
    more = records // 100
    write_bulk(folder, rows=more, after=records)
    grown = side("ours", root, folder)
    write_bulk(folder, rows=more, after=records + more, late=True)
    late = side("ours", root, folder)
    shutil.rmtree(folder)
    size = f"{records / 1e6:g} M records"
    return [
        against(
            f"a day's increment of 1 % on {size}, files to marts",
            grown["to_marts"], full["to_marts"], "the full build", INCREMENT_LIMIT,
        ),
        alone("publish that increment", grown["steps"]["publish"], "seconds"),
        against(
            f"1 % of late records from anywhere in the year on {size}, files to marts",
            late["to_marts"], full["to_marts"], "the full build",
        ),
    ]  # fmt: skip


def _others(scratch: Path, records: int, full: dict[str, Any]) -> list[Result]:
    folder = company(scratch, records)
    pandas = side("pandas_recipe", folder)
    dlt = side("dlt_load", scratch / "dlt", folder, DLT_ROWS)
    load = full["steps"]["load"] / records * DLT_ROWS
    return [
        against(
            f"files to marts, {records / 1e6:g} M records", full["to_marts"], pandas["to_marts"],
            "the owner's pandas recipe on the messages alone (70 % of the records, one table)",
        ),
        against(
            f"load {DLT_ROWS:,} records (ours: their share of the large load)", load, dlt["to_marts"],
            "dlt, rows merged by key into DuckDB",
        ),
    ]  # fmt: skip


def memory(scratch: Path, records: int) -> list[Result]:
    """Peak memory of a build of so many communications, DuckDB held to less."""
    folder, root = company(scratch, records), scratch / "home-memory"
    shutil.rmtree(root, ignore_errors=True)
    found = side("ours", root, folder, MEMORY_SETTING)
    shutil.rmtree(root)
    shutil.rmtree(folder)
    communications = found["marts"]["fct_communications"]["rows"]
    return [
        alone(
            f"peak memory of a build and publish of {communications / 1e6:g} M communications, "
            f"build_memory {MEMORY_SETTING}",
            found["peak_gb"], "GB", MEMORY_LIMIT_GB,
        ),
        alone(f"files to marts of {communications / 1e6:g} M communications", found["to_marts"], "seconds"),
    ]  # fmt: skip
