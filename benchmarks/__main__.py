"""`python -m benchmarks`: measure, print, write `benchmarks/results/latest.json` and docs/performance.md.

Examples:
    python -m benchmarks                        all of it, about half an hour on 2 cores
    python -m benchmarks --only loading         one part; the other figures stay as they were
    python -m benchmarks --only stores          PostgreSQL and MariaDB of Debian's packages
    python -m benchmarks --large 2000000        smaller, for a look
    python -m benchmarks --only emails --mails DIR      besides, with real mails: .eml files
    python -m benchmarks --only airflow         what Airflow adds to its steps, a few minutes
    python -m benchmarks --only questions       what analysts ask, a quarter of an hour
    python -m benchmarks --only arrival --minutes 30 --every 5
    python -m benchmarks --only arrival --minutes 60 --every 1      the soak
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks import (
    airflow_runs,
    arrival,
    building,
    emails,
    loading,
    questions,
    stores,
    watching,
)
from benchmarks.measure import Result
from benchmarks.page import with_figures

RESULTS = Path(__file__).parent / "results" / "latest.json"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PARTS = (
    "loading",
    "emails",
    "building",
    "questions",
    "memory",
    "stores",
    "airflow",
    "arrival",
    "soak",
)
LIVE = ("stores", "airflow", "arrival")
"""Parts that start servers, or take as long as they are told; only when they are named."""
SOAK_MINUTES = 30
"""An arrival test this long on a 1-minute schedule is a soak, with figures of its own."""


def main() -> int:
    """Run the benchmarks; 0 whatever the figures, which speak for themselves."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--only", choices=PARTS[:-1], action="append", help="a part; may be repeated"
    )
    parser.add_argument("--small", type=int, default=1_000_000, help="records of the small build")
    parser.add_argument("--large", type=int, default=5_000_000, help="records of the large one")
    parser.add_argument("--load", type=int, default=15_000_000, help="records for loading")
    parser.add_argument("--memory", type=int, default=28_600_000, help="records for memory")
    parser.add_argument("--table", type=int, default=5_000_000, help="rows of a database's table")
    parser.add_argument("--tries", type=int, default=2, help="the best of so many loads counts")
    parser.add_argument("--mails", type=Path, help="a folder of real mails for the part emails")
    parser.add_argument("--minutes", type=float, default=30, help="how long files arrive")
    parser.add_argument("--every", type=int, default=5, help="minutes between a source's runs")
    parser.add_argument("--scratch", type=Path, help="a folder with room for 40 GB")
    given = parser.parse_args()
    parts = given.only or [part for part in PARTS[:-1] if part not in LIVE]
    if given.scratch:
        given.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=given.scratch) as folder:
        scratch = Path(folder)
        for part in parts:
            if part == "loading":
                _keep(part, loading.measure(scratch, given.load, given.tries))
            elif part == "emails":
                _keep(part, emails.measure(scratch, 10_000, given.tries, given.mails))
            elif part == "building":
                _keep(part, building.measure(scratch, given.small, given.large))
            elif part == "questions":
                _keep(part, questions.measure(given.scratch or scratch, given.large))
            elif part == "memory":
                _keep(part, building.memory(scratch, given.memory))
            elif part == "stores":
                _keep(part, stores.measure(scratch, given.table))
            elif part == "airflow":
                _keep(part, airflow_runs.measure(scratch))
            else:
                return _arrival(scratch, given.minutes, given.every)
    print(f"written to {RESULTS} and {PAGE}")
    return 0


def _arrival(scratch: Path, minutes: float, every: int) -> int:
    """Feed a running Airflow; 1 when a limit is not kept, so that a script may rely on it."""
    part = "soak" if every == 1 and minutes >= SOAK_MINUTES else "arrival"
    results, course = arrival.measure(scratch, minutes, every)
    detail = {"seconds": course.seconds(), "samples": watching.table(course.samples)}
    RESULTS.parent.mkdir(exist_ok=True)
    (RESULTS.parent / f"{part}.json").write_text(json.dumps(detail, indent=1), encoding="utf-8")
    watching.plot(course.samples, course.seconds(), PAGE.parent / "images" / f"{part}.png")
    _keep(part, results)
    return 1 if any(result.ok is False for result in results) else 0


def _keep(part: str, results: list[Result]) -> None:
    """Print a part's figures and put them in the place of its earlier ones."""
    for result in results:
        print(result.line(), flush=True)
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    others = [row for row in known if row.get("part") in PARTS and row["part"] != part]
    rows = [*others, *({"part": part, **result.row()} for result in results)]
    rows.sort(key=lambda row: PARTS.index(row["part"]))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(with_figures(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
