"""`python -m tests.chaos`: a campaign of disturbances, and the table of docs/reliability.md."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.chaos.acts import Outcome
from tests.chaos.campaign import campaign
from tests.chaos.journal import Journal
from tests.chaos.plan import KINDS, TEN, plan
from tests.chaos.report import filled_in, report
from tests.chaos.runs import STEPS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
EXAMPLES = """examples:
  python -m tests.chaos --disturbances 200 --seed 1 --write
  python -m tests.chaos --disturbances 10 --only 'full disk'
  python -m tests.chaos --disturbances 5 --only 'kill -9' --step publish
"""


def main() -> int:
    """Run the campaign; 0 when every disturbance was survived."""
    given = _arguments()
    kinds = [given.only] if given.only else list(KINDS)
    steps = [given.step] if given.step else list(STEPS)
    planned = list(TEN) if given.ten else plan(given.seed, given.disturbances, kinds, steps)
    journal = Journal(given.journal, planned)
    outcomes = journal.outcomes()
    left = [d for number, d in enumerate(planned) if number not in journal.done]
    numbers = [number for number in range(len(planned)) if number not in journal.done]
    with tempfile.TemporaryDirectory(prefix="carelake-chaos-", dir=given.folder) as folder:
        for number, outcome in campaign(left, Path(folder), given.lanes, given.logs):
            outcomes.append(outcome)
            journal.add(numbers[number], outcome)
            print(f"{len(outcomes)}/{len(planned)} {_line(outcome)}", flush=True)
    seconds = journal.seconds
    if given.json:
        told = {str(o.disturbance): {"hit": o.hit, "faults": o.faults} for o in outcomes}
        given.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    if given.write:
        page = filled_in(PAGE.read_text(encoding="utf-8"), report(outcomes, seconds))
        PAGE.write_text(page, encoding="utf-8")
    survived = sum(outcome.survived for outcome in outcomes)
    print(f"{survived} of {len(outcomes)} disturbances survived, in {seconds / 60:.0f} minutes")
    return 0 if survived == len(outcomes) else 1


def _line(outcome: Outcome) -> str:
    verdict = "survived" if outcome.survived else "NOT SURVIVED: " + "; ".join(outcome.faults)
    missed = "" if outcome.hit else " (did not hit)"
    return f"{outcome.disturbance}: {verdict}{missed} ({outcome.seconds:.0f} s)"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Disturb runs of a small company; after one more run, compare the marts.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--disturbances", type=int, default=200, help="how many (200)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same disturbances (1)")
    parser.add_argument("--only", choices=KINDS, help="one kind")
    parser.add_argument("--step", choices=STEPS, help="one step")
    parser.add_argument("--ten", action="store_true", help="the ten of `make test-all`")
    parser.add_argument("--lanes", type=int, default=2, help="side by side (2)")
    parser.add_argument("--folder", help="where homes are made (the system's temporary folder)")
    parser.add_argument("--logs", type=Path, help="keep the output of what was not survived here")
    parser.add_argument("--journal", type=Path, help="go on after what this file says was done")
    parser.add_argument("--json", type=Path, help="write what came of each here")
    parser.add_argument("--write", action="store_true", help="into docs/reliability.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
