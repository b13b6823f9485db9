"""How long each source has been quiet, held against the limits of `sources.yml`.

Counted from a source's newest arrival: the time its newest batch with records in it was extracted,
unless that batch is held or discarded. Every source has one, also those whose records bear no time,
and no wrong clock or time zone of a source can hide that it fell silent. What was published last is
read, so no lock is needed; the clock is used for what is said about runs, never inside a mart.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import duckdb

from carelake.setting_groups.base import as_time
from carelake.settings import Context, Home
from carelake.source import Source

State = Literal["fresh", "warn", "block", "unwatched"]
ARRIVALS = """
    select source_name, max(extracted_at) from ledger
    where n_physical > 0 and status in ('arrived', 'loaded', 'released')
    group by source_name
"""


@dataclass(frozen=True)
class SourceFreshness:
    """One source: since when it has been quiet, and what its limits say to that.

    Attributes:
        age_seconds: since its newest arrival; None before the first.
        limit: the limit that was passed, as it is written in `sources.yml`.
    """

    source: str
    state: State
    last_arrival: dt.datetime | None
    age_seconds: int | None
    limit: str | None = None

    @property
    def message(self) -> str:
        """One line for a person; '' when there is nothing to say."""
        if self.state not in ("warn", "block"):
            return ""
        if self.last_arrival is None:
            return "has brought nothing yet"
        age = in_words(self.age_seconds or 0)
        return (
            f"has brought nothing for {age} ({self.state}: {self.limit}), "
            f"since {self.last_arrival:%Y-%m-%d %H:%M} UTC"
        )


def freshness(
    ctx: Context, now: dt.datetime, sources: list[str] | None = None
) -> list[SourceFreshness]:
    """Every source of the list, or the named ones, in the list's order."""
    arrived = arrivals(ctx.home)
    return [judge(source, arrived.get(source.name), now) for source in ctx.sources.select(sources)]


def arrivals(home: Home) -> dict[str, dt.datetime]:
    """Each source's newest arrival, from `ops.duckdb`; empty before the first load."""
    if not home.ops.exists():
        return {}
    with duckdb.connect(str(home.ops), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        return dict(con.execute(ARRIVALS).fetchall())


def judge(source: Source, last: dt.datetime | None, now: dt.datetime) -> SourceFreshness:
    """Hold a source's newest arrival against its limits.

    One that never brought anything is warned of, never blocked: since when it should have, nobody
    wrote down.
    """
    age = None if last is None else max(0, int((now - last).total_seconds()))
    limits = source.freshness
    if limits is None:
        return SourceFreshness(source.name, "unwatched", last, age)
    if last is None:
        return SourceFreshness(source.name, "warn", None, None)
    for state, limit in (("block", limits.block), ("warn", limits.warn)):
        if limit and now - last > as_time(limit):
            return SourceFreshness(source.name, state, last, age, limit)  # type: ignore[arg-type]
    return SourceFreshness(source.name, "fresh", last, age)


def in_words(seconds: int) -> str:
    """A length of time by its two largest units: `3 d 4 h`."""
    found = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count:
            found.append(f"{count} {unit}")
    return " ".join(found[:2]) or "0 s"


def banner_text(found: list[SourceFreshness]) -> str | None:
    """What readers of the marts are told of blocked sources; None when there are none.

    Names the moment and not the age, so that the same silence is told once.
    """
    said = [
        f"{one.source} has brought nothing since {one.last_arrival:%Y-%m-%d %H:%M} UTC"
        for one in found
        if one.state == "block" and one.last_arrival
    ]
    return f"{'; '.join(said)}: what the marts say of it is old" if said else None
