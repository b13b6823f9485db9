"""What the live systems hold is what the files hold: the good records, by source and id."""

from __future__ import annotations

import datetime as dt
from datetime import datetime

from carelake.sample.calendar import UTC_OFFSET
from carelake.sample.conversations import Conversation
from carelake.sample.delivery import DeliveredFile, Identifier, Record
from carelake.sample.truth import dispositions


class Delivered:
    """The records that count, each with the identifiers its customer is known by on it."""

    def __init__(self, files: list[DeliveredFile]) -> None:
        """Choose among what was delivered; dirt and earlier versions are left out."""
        self._records: dict[tuple[str, str], Record] = {}
        self._gone: set[tuple[str, str]] = set()
        delivered = [(file.source, record) for file in files for record in file.records]
        for (source, record), row in zip(delivered, dispositions(files), strict=True):
            if row["disposition"] in ("good", "deleted"):
                self._records[source, record.key] = record
            if row["disposition"] == "deleted":
                self._gone.add((source, record.key))

    def record(self, source: str, key: str) -> Record | None:
        """Return the newest record of an id, also when it was deleted."""
        return self._records.get((source, key))

    def who(self, source: str, key: str) -> dict[str, str]:
        """Return the identifiers on a record, by kind."""
        record = self.record(source, key)
        return dict(record.who) if record else {}

    def is_gone(self, source: str, key: str) -> bool:
        """Tell whether a record was deleted."""
        return (source, key) in self._gone

    def kept(self, *sources: str) -> list[tuple[Identifier, ...]]:
        """Return the identifiers of each good record of some sources."""
        return [
            record.who
            for place, record in self._records.items()
            if place[0] in sources and record.who and place not in self._gone
        ]


def utc(moment: datetime) -> datetime:
    """Return a local time of the sample as UTC."""
    return (moment - UTC_OFFSET).replace(tzinfo=dt.UTC)


def epoch(moment: datetime) -> int:
    """Return a local time of the sample as seconds since 1970."""
    return int(utc(moment).timestamp())


def zulu(moment: datetime) -> str:
    """Format a local time of the sample as UTC to the second, `2024-01-05T01:31:22Z`."""
    return utc(moment).strftime("%Y-%m-%dT%H:%M:%SZ")


def solved_at(talk: Conversation, until: datetime) -> datetime | None:
    """Return when a matter was solved for the last time; None while it is open.

    A customer who comes back opens it again, until there is another solution.
    """
    if talk.closed_at is None:
        return None
    steps = [(talk.closed_at, True)] + [
        (turn.sent_at, turn.role == "solution")
        for turn in talk.turns
        if turn.role in ("return", "solution")
    ]
    passed = sorted(step for step in steps if talk.closed_at <= step[0] <= until)
    return passed[-1][0] if passed and passed[-1][1] else None
