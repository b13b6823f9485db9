"""What was read of a listing so far: its pages on disk, and what is known of their records."""

from __future__ import annotations

import datetime as dt
import email.utils
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from carelake.setting_groups.base import as_time
from carelake.source import Source
from carelake.window import EVERYTHING, Window

ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False)
"""Made once: a listing may have millions of records."""
FRESH = dt.timedelta(days=1)
"""A place that a service keeps for us is used again so soon, though nothing came of it."""
LARGEST_FILE = 256_000_000
"""Bytes of pages that are kept in one file."""


@dataclass
class Page:
    """One answer.

    Attributes:
        body: its bytes, UTF-8 without a byte order mark.
        records: the records in it.
        total: how many records the service says there are, None when it does not.
        clock: the service's time.
        resume: the address of what changes from now on, on a last page that has one.
        is_all: whether it is the first page, and says that none follows.
    """

    body: bytes
    records: list[Any]
    total: int | None
    clock: dt.datetime
    resume: str | None = None
    is_all: bool = False


@dataclass
class Reading:
    """Pages of one listing, in one pass or several.

    Attributes:
        known: records that were landed before, as far as the cursor remembers.
        is_settled: whether nothing can have been missed.
        n_pages, n_records: landed so far, those of repeated passes included.
    """

    source: Source
    folder: Path
    known: frozenset[str] = frozenset()
    is_settled: bool = False
    ended_a_pass: bool = False
    files: list[Path] = field(default_factory=list)
    n_pages: int = 0
    n_records: int = 0
    n_requests: int = 0
    seconds: float = 0.0
    n_pages_of_pass: int = 0
    _moments: dict[str, dt.datetime | None] = field(default_factory=dict)
    _followed: set[str] = field(default_factory=set)
    _versions: set[str] = field(default_factory=set)
    _ids_of_pass: set[str] = field(default_factory=set)
    _new_of_pass: int = 0
    _totals: set[int | None] = field(default_factory=set)
    _clock: dt.datetime | None = None
    _field: str | None = None
    _resume: str | None = None
    _is_all: bool = False
    _writer: BinaryIO | None = None

    def begin_listing(self, field: str | None) -> None:
        """Read another listing of the same records.

        Args:
            field: dotted path of the time a record last changed.
        """
        self._field, self.ended_a_pass = field, False

    def begin_pass(self) -> None:
        """Read from the beginning once more."""
        self.n_pages_of_pass, self._new_of_pass = 0, 0
        self._ids_of_pass, self._totals, self._is_all = set(), set(), False

    def add(self, page: Page) -> None:
        """Take in a page."""
        if not self.is_list_of_others:
            self._write(page.body)
        self.n_pages += 1
        self.n_pages_of_pass += 1
        self.n_records += len(page.records)
        self._totals.add(page.total)
        self._clock = page.clock if self._clock is None else min(self._clock, page.clock)
        self._resume = page.resume or self._resume
        self._is_all = page.is_all
        for record in page.records:
            self._note(record)

    def is_before(self, page: Page, since: dt.datetime | None) -> bool:
        """Whether all records of a page last changed before a time."""
        if since is None or not page.records:
            return False
        moments = [self._moments.get(_short_hash(record)) for record in page.records]
        return all(moment is not None and moment < since for moment in moments)

    @property
    def is_list_of_others(self) -> bool:
        """Whether the listing only says what to ask for."""
        return bool(self.source.rest and self.source.rest.each)

    def is_new(self, record: Any) -> bool:
        """Whether what stands behind a record of the listing is to be asked for, now and only now."""
        key = _short_hash(record)
        if key in self.known or key in self._followed:
            return False
        self._followed.add(key)
        return True

    def land(self, body: bytes) -> None:
        """Take in what stands behind a record."""
        self._write(body)
        self.n_pages += 1

    @property
    def pass_is_complete(self) -> bool:
        """Whether a listing that may move lost nothing in the pass that has just ended.

        A record that moves to an earlier page while pages turn is missed. It is not, when all came
        on one page, when the service's own count stayed the same and equals what came, or when
        another pass brings nothing new.
        """
        self.ended_a_pass = True
        is_counted = self.source.has_id and self._totals == {len(self._ids_of_pass)}
        return self._is_all or is_counted or self._new_of_pass == 0

    def close(self) -> None:
        """Bring the last file to an end."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def holds_nothing_beyond(self, cursor: dict[str, Any]) -> bool:
        """Whether every record was landed before, as far as the cursor remembers."""
        if self._resume is not None and "resume" in cursor:
            # what a service keeps for us it forgets some day: the newest word for it is kept
            known = moment_of(cursor.get("at"), "UTC")
            is_fresh = known is not None and self._clock is not None and self._clock - known < FRESH
            return not self._moments and is_fresh
        if not self._moments:
            return bool(cursor) or self.source.mode == "append"
        if self._is_incremental:
            return self._moments.keys() <= set(cursor.get("recent", []))
        return self._digest() == cursor.get("digest")

    def cursor_after(self, before: dict[str, Any], window: Window) -> dict[str, Any]:
        """Where the next reading begins.

        Args:
            window: that a person named; where it begins beyond the cursor, the cursor stays.
        """
        if self._resume is not None:
            at = self._clock.isoformat() if self._clock else None
            return {"resume": self._resume, "at": at} if self.is_settled else before
        if not self._is_incremental:
            return {"digest": self._digest()} if self.is_settled else {}
        newest_before = moment_of(before.get("newest"), "UTC")
        is_gap = window != EVERYTHING and (
            newest_before is None or (window.since is not None and window.since > newest_before)
        )
        newest = self._newest()
        if is_gap or not self.is_settled or newest is None:
            return before
        if newest_before is not None and newest <= newest_before:
            recent = set(before.get("recent", []))
            newest = newest_before
        else:
            recent = set()
        rule = self.source.rest.incremental if self.source.rest else None
        edge = newest - (as_time(rule.look_back) if rule else dt.timedelta(0))
        recent |= {key for key, moment in self._moments.items() if moment is None or moment >= edge}
        return {"newest": newest.isoformat(), "recent": sorted(recent)}

    @property
    def _is_incremental(self) -> bool:
        return bool(self.source.rest and self.source.rest.incremental)

    def _newest(self) -> dt.datetime | None:
        """The newest record's time; one from the service's future does not carry the cursor there."""
        known = [moment for moment in self._moments.values() if moment is not None]
        if not known:
            return None
        return min(max(known), self._clock) if self._clock else max(known)

    def _note(self, record: Any) -> None:
        key = _short_hash(record)
        changed = member(record, self._field) if self._field else None
        ident = self._id(record) or key
        version = f"{ident} {changed}" if changed is not None else key
        if version not in self._versions:
            self._versions.add(version)
            self._new_of_pass += 1
        self._ids_of_pass.add(ident)
        self._moments[key] = moment_of(changed, self.source.timezone)

    def _id(self, record: Any) -> str | None:
        theirs = self.source.id_path
        value = member(record, theirs) if theirs else None
        return None if value is None else str(value)

    def _digest(self) -> str:
        return hashlib.sha256("".join(sorted(self._moments)).encode()).hexdigest()

    def _write(self, body: bytes) -> None:
        if self._writer is None or self._writer.tell() > LARGEST_FILE:
            self.close()
            path = self.folder / f"pages-{len(self.files) + 1:04d}.json"
            self.files.append(path)
            self._writer = path.open("wb")
        self._writer.write(body)
        self._writer.write(b"\n")


def member(record: Any, path: str) -> Any:
    """What a dotted path leads to in a record, None where it leads nowhere; case does not matter.

    A key that holds dots itself is found by its whole name.
    """
    if isinstance(record, dict) and path in record:
        return record[path]
    found = record
    for part in path.split("."):
        if not isinstance(found, dict):
            return None
        if part not in found:
            wanted = part.strip().casefold()
            part = next((key for key in found if key.strip().casefold() == wanted), part)
        found = found.get(part)
    return found


def moment_of(value: Any, zone: str) -> dt.datetime | None:
    """A time as services write it: ISO 8601, a date, RFC 2822, or seconds or milliseconds since 1970."""
    if value is None or isinstance(value, bool):
        return None
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return _written_moment(text, zone)
    seconds = number / 1000 if abs(number) >= 1e11 else number
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _written_moment(text: str, zone: str) -> dt.datetime | None:
    try:
        found = _iso_or_mail_time(text)
        aware = found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))
        return aware.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def _iso_or_mail_time(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        # as mails write it: Tue, 31 Aug 2010 20:36:28 +0000
        return email.utils.parsedate_to_datetime(text)


def _short_hash(record: Any) -> str:
    text = ENCODER.encode(record)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
