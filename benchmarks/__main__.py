"""`python -m benchmarks`: measure, print, and write `benchmarks/results/latest.json`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks import load
from carelake.sample import write_bulk

RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> int:
    """Run every benchmark; 0 whatever the figures, which speak for themselves."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="records of the bulk sample")
    parser.add_argument("--tries", type=int, default=2, help="the best of so many counts")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        write_bulk(scratch / "company", rows=given.rows)
        results = load.measure(scratch / "company", scratch, given.tries)
    for row in results:
        verdict = "ok" if row["ok"] else "over the limit"
        print(f"{row['name']}: {row['ours']} s beside {row['peer']} s, x{row['ratio']} ({verdict})")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"written to {RESULTS.relative_to(Path.cwd())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
