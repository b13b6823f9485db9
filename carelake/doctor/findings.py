"""What an examination gives: one line what, one line mend."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from carelake.settings import Context, Home


class Level(StrEnum):
    """How bad it is: FAIL is what stops a run or misleads a reader, WARN what will."""

    ok = "OK"
    warn = "WARN"
    fail = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `mend` is what to do, '' when it is well."""

    level: Level
    check: str
    what: str
    mend: str = ""


@dataclass(frozen=True)
class Patient:
    """Whom to examine, and when.

    Attributes:
        ctx: None when the configuration cannot be read; the home is looked over all the same.
        fault: why it cannot be read.
    """

    home: Home
    ctx: Context | None
    now: dt.datetime
    fault: str = ""


def ok(check: str, what: str) -> Finding:
    """All is well."""
    return Finding(Level.ok, check, what)


def warn(check: str, what: str, mend: str) -> Finding:
    """It will be trouble, or is some already."""
    return Finding(Level.warn, check, what, mend)


def fail(check: str, what: str, mend: str) -> Finding:
    """It stops a run, or misleads a reader."""
    return Finding(Level.fail, check, what, mend)


def listed(names: list[str], most: int = 3) -> str:
    """The first few of many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
