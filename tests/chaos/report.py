"""The page docs/reliability.md: what was done, how often it hit, what came of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from tests.chaos.acts import Outcome
from tests.chaos.plan import DISK, KILL, KINDS
from tests.chaos.runs import STEPS

HEAD = """# Reliability

A small company ({customers} customers, {days} days, {sources}) is run over and over, and each run is
disturbed. Then what was taken away is brought back (room on the disk, a file, a database) and **one more
ordinary `carelake run`** is made. Its published marts are compared, by fingerprint, with those of a
run that nobody disturbed. Half of the runs are the `first` of a new home, which trains the models;
the others find new files beside a champion and marts that are being read.

A disturbance counts as survived when

- the disturbed run ended with the documented exit code and one line that says why, without a traceback;
- readers saw the marts of before or the whole of the new ones, at no time anything else;
- after one more run the marts are the same, the account of every batch closes and is the same, the
  champions are the same models, whole, each told of by a decision, and no training is left open;
- nothing unfinished lies about: no draft, no batch without manifest, no scratch file.

It counts as a hit when the run was alive and met it; a kill may come when the step is over, a disk may
have room enough. `before a change of a file` kills before the n-th file that the step opens for writing, renames or
removes, n by chance: most things that can be torn are torn there.
"""
FOOT = """
One more kind needs a real Airflow, and is a test: `tests/chaos/test_metadata_database.py` empties Airflow's
metadata database in the middle of a build, restores a copy, runs once more and compares the marts.

## What it found

Each was mended when it was found; the campaign above ran on the mended code.
"""
FINDINGS = (
    "A landed file that was cut, changed or lost after its manifest was written was loaded as it was, "
    "or ended the run: its sha256 is now checked before it is loaded, the batch is held by name, and "
    "the first run after the file was put back loads it.",
    "A manifest cut in the middle ended extract and load of every source with a `ValidationError`: "
    "it now stops its own source only, by name.",
    "A full disk during extract was taken for a fault of the source: the run went on without it, and "
    "trained its first models on what there was. It now ends the run.",
    "A full disk, a lost or locked MLflow database, an unreadable file ended in a message about an "
    "unforeseen error (and, with no room for `error.log`, in a traceback): each is now one line that "
    "names the disk or the database, and is recorded as the reason the step failed.",
    "When a failure could not be recorded, because the disk was full, that error hid the first one.",
    "MLflow printed a traceback of every database error, in front of our own line.",
    "Two runs at once could train, register and score side by side, writing one file twice: they now "
    "take turns, and the second finds the work done.",
    "A training that was killed between crowning a model and writing its decision was never finished, "
    "and its MLflow runs stayed open for ever: it is now made again, giving the same version.",
    "That training, made again, was judged against the champion it had itself crowned, and told another "
    "reason for its decision: such a champion does not count any more.",
    "MLflow makes its tables in a hundred steps and cannot go on where it was killed: no later run could "
    "train. Its database is now made aside and moved in place, and one that was cut is made anew.",
    "A champion that vanished with MLflow's database was replaced in silence by one trained on newer "
    "rows: that is now refused until `carelake train --force` says so.",
    "A killed extract's batch folder stayed when its source had nothing new afterwards; so did drafts "
    "of features, of publications and of loads. All are swept by the next run.",
    "DuckDB ends the process when the disk is full and the transaction had deleted and inserted the "
    "same primary key; three writes did that and no longer do.",
    "Great Expectations left an empty suite behind on a full disk, and no later check could begin: what a "
    "check that was cut left torn is now dropped.",
    "dbt, and Python's logging under it, printed tracebacks when their files could not be written.",
    "A check that Airflow made twice in one run, as after a restored metadata database, was counted "
    "twice and failed the marts of that run for good.",
    "Most writers waited for the lock without a word: the name of the holder is now always told.",
    "The lock's waiting message named a killed holder when a stranger held the lock, and no one when "
    "the stranger had left no name: it now names the process the kernel lists.",
)


def report(outcomes: list[Outcome], command: str, seconds: float) -> str:
    """The whole page."""
    from tests.chaos.lane import CUSTOMERS, DAYS

    lines = [HEAD.format(customers=CUSTOMERS, days=DAYS, sources="12 sources"), *_made_by(command)]
    lines += [
        f"{len(outcomes)} disturbances in {seconds / 60:.0f} minutes, two runs at a time on a "
    ]
    lines[-1] += f"machine with {os.cpu_count()} cores that others used as well.\n"
    for kind in KINDS:
        found = [o for o in outcomes if o.disturbance.kind == kind]
        if not found:
            continue
        lines += [f"## {kind[0].upper()}{kind[1:]}", ""]
        if kind in (KILL, DISK):
            lines += _table("step", found, lambda o: o.disturbance.step, STEPS)
            lines += _table("how", found, lambda o: o.disturbance.variant)
        else:
            lines += _table("what", found, lambda o: o.disturbance.variant or o.disturbance.kind)
    lines += ["## All", "", *_table("kind", outcomes, lambda o: o.disturbance.kind, KINDS)]
    failed = [f"- {o.disturbance}: {'; '.join(o.faults)}" for o in outcomes if not o.survived]
    lines += ["Not survived:", "", *failed, ""] if failed else ["Every one was survived."]
    return "\n".join([*lines, FOOT, *(f"- {finding}" for finding in FINDINGS), ""])


def _made_by(command: str) -> list[str]:
    return [f"Made by `make chaos`, which is `{command}`.", ""]


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
