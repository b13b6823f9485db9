"""Is what was written there what was published here? Counts and sums of both sides, compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from carelake.errors import RunFailed
from carelake.warehouse.connection import ident
from carelake.warehouse.replicas.columns import Column, Kind, sent

TEXTS_AT_ONCE = 50
"""Texts joined for one digest; PostgreSQL takes at most a hundred arguments."""
CLOSE = 1e-9
"""How far sums of binary floating point may differ, of the sum of magnitudes."""


@dataclass(frozen=True)
class Check:
    """One figure of a table: `ours` in DuckDB's SQL, `theirs` in the replica's.

    `slack` is DuckDB's expression for how far a sum of floats may be off, '0' elsewhere.
    """

    label: str
    ours: str
    theirs: str
    slack: str = "0"


@dataclass(frozen=True)
class Phrases:
    """The few expressions that two databases write differently; `{}` is the column, or the list.

    Attributes:
        microseconds: since 1970 of a time, as an exact number.
        days: since 1970 of a date.
        digest: number of the first 32 bits of the md5 of a list of texts, NULLs left out; None where there
            is no md5, and the characters of each text are counted.
    """

    microseconds: str
    days: str
    digest: str | None


OUR_MICROSECONDS = "epoch_us({})"
OUR_DAYS = "({} - date '1970-01-01')"
OUR_DIGEST = "('0x' || left(md5(concat_ws(chr(31), {})), 8))::bigint"


def checks(columns: Sequence[Column], theirs: Phrases, quoted: Callable[[str], str]) -> list[Check]:
    """What is compared of a table.

    Rows; per column how many are not NULL; sums of numbers, dates and times (in days and
    microseconds) and true values; lengths of binary values; and over all texts (and numbers of more
    than 28 digits) of a row a sum of digests, which a lost, swapped or garbled character changes. JSON and times of day are counted only:
    databases write them in ways of their own.
    """
    found = [Check("rows", "count(*)", "count(*)")]
    for column in columns:
        here, there = ident(column.name), quoted(column.target)
        found.append(Check(f"{column.name} filled", f"count({here})", f"count({there})"))
        found += _sums(column, here, there, theirs)
    texts = [column for column in columns if column.kind in (Kind.text, Kind.wide)]
    if theirs.digest is None:
        return found + [
            Check(
                f"{column.name} characters",
                f"sum(length({sent(column)}))",
                f"sum(length({quoted(column.target)}))",
            )
            for column in texts
            if column.kind is Kind.text
        ]
    for first in range(0, len(texts), TEXTS_AT_ONCE):
        some = texts[first : first + TEXTS_AT_ONCE]
        ours = OUR_DIGEST.format(", ".join(sent(column) for column in some))
        digest = theirs.digest.format(", ".join(quoted(column.target) for column in some))
        label = "texts of " + ", ".join(column.name for column in some)
        found.append(Check(label[:80], f"sum({ours})", f"sum({digest})"))
    return found


def _sums(column: Column, here: str, there: str, theirs: Phrases) -> list[Check]:
    label = f"{column.name} sum"
    if column.kind in (Kind.integer, Kind.decimal):
        return [Check(label, f"sum({here})", f"sum({there})")]
    if column.kind is Kind.float:
        ours = sent(column)
        return [Check(label, f"sum({ours})", f"sum({there})", f"sum(abs({ours})) * {CLOSE}")]
    if column.kind is Kind.flag:
        count = "sum(case when {} then 1 else 0 end)"
        return [Check(label, count.format(here), count.format(there))]
    if column.kind in (Kind.moment, Kind.local):
        ours = OUR_MICROSECONDS.format(sent(column))
        return [Check(label, f"sum({ours})", f"sum({theirs.microseconds.format(there)})")]
    if column.kind is Kind.day:
        ours = OUR_DAYS.format(here)
        return [Check(label, f"sum({ours})", f"sum({theirs.days.format(there)})")]
    if column.kind is Kind.bytes:
        return [Check(label, f"sum(octet_length({here}))", f"sum(octet_length({there}))")]
    return []


def query(expressions: Sequence[str], relation: str) -> str:
    """One row with every figure."""
    return f"select {', '.join(expressions)} from {relation}"


def compare(
    name: str,
    made: Sequence[Check],
    ours: Sequence[Any],
    slacks: Sequence[Any],
    theirs: Sequence[Any],
) -> None:
    """Insist that both sides found the same.

    Raises:
        RunFailed: naming the table, the figure and both values.
    """
    for check, here, slack, there in zip(made, ours, slacks, theirs, strict=True):
        if not _same(here, there, slack):
            raise RunFailed(
                f"audit: {name}: {check.label} is {here} here and {there} there; "
                "readers keep the version before"
            )


def _same(here: Any, there: Any, slack: Any) -> bool:
    if here is None or there is None:
        return here is there
    if slack:
        return math.isclose(float(here), float(there), rel_tol=0, abs_tol=float(slack))
    return Decimal(here) == Decimal(there)
