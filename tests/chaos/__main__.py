"""`python -m tests.chaos`: a campaign of kills, and the table of docs/reliability.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.chaos.kills import STEPS, Company, Outcome, kills

REPORT = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


def main() -> int:
    """Run the campaign; 0 when every kill was survived."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write docs/reliability.md")
    given = parser.parse_args()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        company = Company(Path(folder))
        for number, kill in enumerate(kills(given.seed, given.kills), start=1):
            outcome = company.survive(kill)
            outcomes.append(outcome)
            verdict = "same marts" if outcome.same else f"DIFFERENT: {outcome.note}"
            when = f"{kill.step} +{kill.delay:.2f} s" + (
                "" if outcome.hit else " (was done already)"
            )
            print(
                f"{number}/{given.kills} killed at {when}: {verdict} ({outcome.seconds:.0f} s)",
                flush=True,
            )
    if given.write:
        REPORT.write_text(report(outcomes, given.seed), encoding="utf-8")
    survived = sum(outcome.same for outcome in outcomes)
    print(f"{survived} of {len(outcomes)} kills survived")
    return 0 if survived == len(outcomes) else 1


def report(outcomes: list[Outcome], seed: int) -> str:
    """The page with one row per step."""
    by_step: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_step[outcome.kill.step].append(outcome)
    lines = [
        "# Reliability",
        "",
        "A run is killed with `kill -9` after a step began, at once or some seconds later; then one more",
        "run is made, and its published marts are compared, by fingerprint, with those of a run that",
        "nobody disturbed. The kill counts as a hit when the run was still alive at that moment.",
        "",
        f"Made by `make chaos` (`python -m tests.chaos --kills {len(outcomes)} --seed {seed} --write`).",
        "",
        "| killed in | kills | hits | same marts after one more run |",
        "|---|---|---|---|",
    ]
    for step in STEPS:
        found = by_step.get(step, [])
        hits, same = sum(o.hit for o in found), sum(o.same for o in found)
        lines.append(f"| {step} | {len(found)} | {hits} | {same} |")
    total = f"| all | {len(outcomes)} | {sum(o.hit for o in outcomes)} | {sum(o.same for o in outcomes)} |"
    return "\n".join([*lines, total, ""])


if __name__ == "__main__":
    sys.exit(main())
