"""The tables of docs/reliability.md: what was done, how often it hit, what came of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from tests.chaos.acts import Outcome
from tests.chaos.plan import DISK, KILL, KINDS
from tests.chaos.runs import STEPS

FIRST, LAST = "<!-- chaos -->\n", "<!-- /chaos -->"
"""What stands around the tables on the page; all else there is written by hand."""


def filled_in(page: str, tables: str) -> str:
    """The page with these tables between its marks."""
    before, _, rest = page.partition(FIRST)
    _, mark, after = rest.partition(LAST)
    if not mark:
        raise ValueError(f"the page has no place for the tables: {FIRST.strip()} to {LAST}")
    return before + FIRST + tables + LAST + after


def report(outcomes: list[Outcome], seconds: float) -> str:
    """The tables of the page."""
    lines = [
        f"{len(outcomes)} disturbances in {seconds / 60:.0f} minutes, two runs at a time on a "
        f"machine with {os.cpu_count()} cores that others used as well.",
        "",
    ]
    for kind in KINDS:
        found = [o for o in outcomes if o.disturbance.kind == kind]
        if not found:
            continue
        lines += [f"### {kind[0].upper()}{kind[1:]}", ""]
        if kind in (KILL, DISK):
            lines += _table("step", found, lambda o: o.disturbance.step, STEPS)
            lines += _table("how", found, lambda o: o.disturbance.variant)
        else:
            lines += _table("what", found, lambda o: o.disturbance.variant or o.disturbance.kind)
    lines += ["### All", "", *_table("kind", outcomes, lambda o: o.disturbance.kind, KINDS)]
    failed = [f"- {o.disturbance}: {'; '.join(o.faults)}" for o in outcomes if not o.survived]
    lines += ["Not survived:", "", *failed, ""] if failed else ["Every one was survived."]
    return "\n".join([*lines, ""])


def _table(
    heading: str,
    outcomes: list[Outcome],
    key: Callable[[Outcome], str],
    order: Iterable[str] = (),
) -> list[str]:
    """One row per value of `key`, and their sum."""
    values = [*order] or list(dict.fromkeys(sorted(key(o) for o in outcomes)))
    rows = [(v, [o for o in outcomes if key(o) == v]) for v in values]
    lines = [
        f"| {heading} | done | hit | same marts after one more run | survived |",
        "|---|---|---|---|---|",
        *(_row(value, found) for value, found in rows if found),
    ]
    return [*lines, *([_row("all", outcomes)] if len(rows) > 1 else []), ""]


def _row(value: str, found: list[Outcome]) -> str:
    figures = (
        len(found),
        sum(o.hit for o in found),
        sum(o.same for o in found),
        sum(o.survived for o in found),
    )
    return f"| {value} | {' | '.join(map(str, figures))} |"
