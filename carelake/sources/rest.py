"""Kind `rest`: read a web service page by page, and land the pages as they came.

What is read before the cursor of record moves is read again after a kill. Reading again is
harmless: records are told by their id, and the newest version of one counts.
"""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from carelake.errors import ConfigError
from carelake.setting_groups.base import as_time
from carelake.source import Source
from carelake.source_kinds.rest import MoreListing
from carelake.sources.batches import ExtractResult, Place, begin_extract, write_batch
from carelake.sources.counting import Counted
from carelake.sources.patience import Passing, Refused
from carelake.sources.reading import Page, Reading, moment_of
from carelake.sources.rest_client import Asker
from carelake.window import EVERYTHING, Window

PASSES = 5
"""Readings of a listing that moves while it is read, and restarts of one whose cursor vanished."""
PROBED = 3
"""Records whose own answers are asked for to try a source."""
VANISHED = frozenset({400, 404, 410, 422})
"""Answers to the cursor of a later page that mean: it is not known any more."""


def extract(
    source: Source,
    base: Path,
    landing: Path,
    window: Window = EVERYTHING,
    *,
    is_probe: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> ExtractResult:
    """Land what changed since the last reading, or in a window.

    Args:
        window: read what changed in it; a gap before it is not passed over.
        is_probe: read the first page only.
        sleep: waits so many seconds between tries.
    """
    with begin_extract(landing, source.name) as place:
        try:
            asked = _asked_window(source, place.cursor, window)
            reading = Reading(source, place.draft, known=frozenset(place.cursor.get("recent", [])))
            _read_all(source, asked, _kept_place(source, place.cursor), reading, sleep, is_probe)
            return _land(source, reading, window, place, asked)
        except (Passing, Refused, ConfigError) as error:
            return ExtractResult(source.name, "failed", message=_told(source, error))


def count(source: Source, base: Path) -> Counted | None:
    """How many records the service says there are; None when it does not say.

    Raises:
        Passing, Refused: it does not answer.
        ConfigError: the connection is missing or lacks something.
    """
    if source.rest is None:
        return None
    rule, asked = source.rest.incremental, source.rest.count
    since = rule.initial if rule else None
    if asked is not None:
        if since is not None and not any("{window}" in text for text in asked.params.values()):
            return None  # it counts everything, and we do not read everything
        found = Asker(source, Window(since, None), time.sleep).count(asked)
    elif getattr(source.rest.pages, "total", None):
        page = next(iter(Asker(source, Window(since, None), time.sleep).pages()), None)
        found = page.total if page else None
    else:
        return None
    scope = f"changed since {since.isoformat()}" if since else "all"
    return None if found is None else Counted(found, scope)


def _asked_window(source: Source, cursor: dict[str, Any], window: Window) -> Window:
    """What is asked of the service: the window a person named, else all since the last reading."""
    rule = source.rest.incremental if source.rest else None
    if window != EVERYTHING:
        if rule is None and _keeps_place(source):
            raise ConfigError(
                "is read by the place the service keeps, never by time; leave the window out"
            )
        if rule is None:
            raise ConfigError("reads everything each time; a window needs rest.incremental")
        return Window(window.since or rule.initial, window.until)
    newest = moment_of(cursor.get("newest"), "UTC")
    if rule is None or newest is None:
        return Window(rule.initial if rule else None, None)
    return Window(newest - as_time(rule.look_back), None)


def _kept_place(source: Source, cursor: dict[str, Any]) -> str | None:
    """What the last reading left, where the service keeps our place: an address or a cursor."""
    return cursor.get("resume") if _keeps_place(source) else None


def _keeps_place(source: Source) -> bool:
    return bool(source.rest and getattr(source.rest.pages, "resume", None))


def _read_all(
    source: Source,
    asked: Window,
    resume: str | None,
    reading: Reading,
    sleep: Callable[[float], None],
    is_probe: bool,
) -> None:
    """Read a source's listing, and those that are read with it."""
    rest, most = source.rest, 1 if is_probe else None
    began = time.monotonic()
    field = rest.incremental.field if rest and rest.incremental else None
    listings: list[MoreListing | None] = [None, *(rest.also if rest and not is_probe else [])]
    are_settled = []
    for more, window in itertools.product(listings, _pieces(source, asked, is_probe)):
        reading.begin_listing((more.field or field) if more else field)
        asker = Asker(source, window, sleep, more=more, resume=resume)
        try:
            are_settled.append(_read(asker, reading, most))
        except Refused as refusal:
            if resume is None or refusal.status not in VANISHED or reading.n_pages:
                raise
            # our place is not known any more: everything is read anew
            asker = Asker(source, window, sleep, more=more)
            are_settled.append(_read(asker, reading, most))
        reading.n_requests += asker.n_requests
    reading.is_settled = all(are_settled)
    reading.seconds = time.monotonic() - began
    reading.close()


def _pieces(source: Source, asked: Window, is_probe: bool) -> list[Window]:
    """The windows to ask for: one, or pieces as long as the service answers for, oldest first."""
    rule = source.rest.incremental if source.rest else None
    if rule is None or rule.longest is None or asked.since is None:
        return [asked]
    longest, end = as_time(rule.longest), asked.until or dt.datetime.now(dt.UTC)
    edges = [asked.since]
    while edges[-1] < end:
        edges.append(min(edges[-1] + longest, end))
    pieces = [Window(since, until) for since, until in itertools.pairwise(edges)]
    return pieces[-1:] if is_probe else pieces


def _read(asker: Asker, reading: Reading, most_pages: int | None) -> bool:
    """Read a listing until nothing can be missing; False when it changed all the while."""
    for _ in range(PASSES):
        reading.begin_pass()
        try:
            for page in itertools.islice(asker.pages(), most_pages):
                reading.add(page)
                _follow(asker, reading, page, most_pages)
                if reading.is_before(page, asker.since):
                    break
        except Refused as refusal:
            if refusal.status not in VANISHED or not reading.n_pages_of_pass:
                raise
            # the word for the next page is not known any more: from the beginning of the window
            continue
        if asker.is_steady or reading.pass_is_complete or most_pages:
            return True
    if not reading.ended_a_pass:
        raise Passing("the way to the next page was lost again and again; try again later")
    return False


def _follow(asker: Asker, reading: Reading, page: Page, most_pages: int | None) -> None:
    """Land what stands behind each new record of a page, where that is how it is read."""
    if not reading.is_list_of_others:
        return
    for record in itertools.islice(page.records, PROBED if most_pages else None):
        if reading.is_new(record):
            for body in asker.children(record):
                reading.land(body)


def _land(
    source: Source,
    reading: Reading,
    window: Window,
    place: Place,
    asked: Window,
) -> ExtractResult:
    if reading.holds_nothing_beyond(place.cursor):
        return ExtractResult(source.name, "nothing_new", message="nothing new")
    after = reading.cursor_after(place.cursor, window)
    manifest = write_batch(
        place.landing,
        source,
        [(path.name, path) for path in reading.files],
        number=place.number,
        extracted_at=dt.datetime.now(dt.UTC),
        cursor_before=place.cursor,
        cursor_after=after,
        window=window,
        details={
            "asked": {"since": _iso(asked.since), "until": _iso(asked.until)},
            "pages": reading.n_pages,
            "records": reading.n_records,
            "requests": reading.n_requests,
            "seconds": round(reading.seconds, 3),
        },
    )
    n_bytes = sum(file.n_bytes for file in manifest.files)
    message = f"{reading.n_records:,} records in {reading.n_pages:,} pages, {n_bytes:,} bytes"
    if not reading.is_settled:
        message += "; it changed all the while, the next run reads it again"
    return ExtractResult(
        source.name, "extracted", [manifest.batch_id], len(manifest.files), n_bytes, message
    )


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


MENDS = {
    401: "the service does not accept our secrets; renew them",
    403: "these secrets may not read this; ask for the right, or use others",
    404: "there is no such address; correct rest.url or rest.endpoint",
}


def _told(source: Source, error: Exception) -> str:
    named = f"connection '{source.connection}': " if source.connection else ""
    if isinstance(error, Refused):
        mend = MENDS.get(error.status)
        if error.status == 404 and source.shape:
            mend = "it is not there: correct the connection's host, or leave it out of `objects`"
        return f"{named}{error}" + (f"; {mend}" if mend else "")
    tries = source.rest.attempts if source.rest else 1
    after = f" ({tries} tries); the next run goes on" if isinstance(error, Passing) else ""
    return f"{named}{error}{after}"
