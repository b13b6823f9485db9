"""The stretch of time an extract is restricted to: what a backfill, or a person, asks for."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from carelake.errors import ConfigError


@dataclass(frozen=True)
class Window:
    """From `since` up to but not including `until`; without one of them, open at that end.

    Windows that touch share no moment, so neighbouring intervals take everything once.
    """

    since: dt.datetime | None = None
    until: dt.datetime | None = None

    @classmethod
    def parse(cls, since: str | None = None, until: str | None = None) -> Window:
        """A window from ISO 8601 texts; a time without a zone is UTC.

        Raises:
            ConfigError: a text is no time, or the window ends before it begins.
        """
        window = cls(_moment("since", since), _moment("until", until))
        if window.since and window.until and window.since >= window.until:
            raise ConfigError(
                f"until: {window.until.isoformat()} is not after since "
                f"{window.since.isoformat()}; exchange or correct them"
            )
        return window

    def __bool__(self) -> bool:
        """Whether it restricts anything."""
        return self.since is not None or self.until is not None

    def __contains__(self, moment: dt.datetime) -> bool:
        """Whether an aware time lies within."""
        is_early = self.since is not None and moment < self.since
        return not is_early and (self.until is None or moment < self.until)

    def __str__(self) -> str:
        """As a message says it: `from 2024-05-01T00:00:00+00:00 until ...`."""
        ends = (("from", self.since), ("until", self.until))
        return " ".join(f"{word} {moment.isoformat()}" for word, moment in ends if moment)


EVERYTHING = Window()


def _moment(key: str, text: str | None) -> dt.datetime | None:
    if not text:
        return None
    try:
        moment = dt.datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ConfigError(f"{key}: {text!r} is no time; write 2024-05-01T00:00:00+00:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
