"""What was read of a listing so far: its pages on disk, and what is known of their records."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from carelake.setting_groups.base import as_time
from carelake.source_list import Source
from carelake.window import EVERYTHING, Window

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
    """

    body: bytes
    records: list[Any]
    total: int | None
    clock: dt.datetime


@dataclass
class Reading:
    """Pages of one listing, in one pass or several.

    Attributes:
        is_settled: whether nothing can have been missed.
        n_pages, n_records: landed so far, those of repeated passes included.
    """

    source: Source
    folder: Path
    is_settled: bool = False
    ended_a_pass: bool = False
    files: list[Path] = field(default_factory=list)
    n_pages: int = 0
    n_records: int = 0
    n_requests: int = 0
    seconds: float = 0.0
    n_pages_of_pass: int = 0
    _moments: dict[str, dt.datetime | None] = field(default_factory=dict)
    _versions: set[str] = field(default_factory=set)
    _ids_of_pass: set[str] = field(default_factory=set)
    _new_of_pass: int = 0
    _totals: set[int | None] = field(default_factory=set)
    _clock: dt.datetime | None = None
    _writer: BinaryIO | None = None

    def begin_pass(self) -> None:
        """Read from the beginning once more."""
        self.n_pages_of_pass, self._new_of_pass = 0, 0
        self._ids_of_pass, self._totals = set(), set()

    def add(self, page: Page) -> None:
        """Take in a page."""
        self._write(page.body)
        self.n_pages += 1
        self.n_pages_of_pass += 1
        self.n_records += len(page.records)
        self._totals.add(page.total)
        self._clock = page.clock if self._clock is None else min(self._clock, page.clock)
        for record in page.records:
            self._note(record)

    @property
    def pass_is_complete(self) -> bool:
        """Whether a listing that may move lost nothing in the pass that has just ended.

        A record that moves to an earlier page while pages turn is missed. It is not, when the
        service's own count stayed the same and equals what came, or when another pass brings
        nothing new.
        """
        self.ended_a_pass = True
        is_counted = self.source.has_id and self._totals == {len(self._ids_of_pass)}
        return is_counted or self._new_of_pass == 0

    def close(self) -> None:
        """Bring the last file to an end."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def holds_nothing_beyond(self, cursor: dict[str, Any]) -> bool:
        """Whether every record was landed before, as far as the cursor remembers."""
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
        rule = self.source.rest.incremental if self.source.rest else None
        changed = member(record, rule.field) if rule else None
        ident = self._id(record) or key
        version = f"{ident} {changed}" if changed is not None else key
        if version not in self._versions:
            self._versions.add(version)
            self._new_of_pass += 1
        self._ids_of_pass.add(ident)
        self._moments[key] = moment_of(changed, self.source.timezone)

    def _id(self, record: Any) -> str | None:
        theirs = self.source.columns.get(self.source.id_column)
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
    """What a dotted path leads to in a record, None where it leads nowhere; case does not matter."""
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
    """A time as services write it: ISO 8601, a date, or seconds or milliseconds since 1970."""
    if value is None or isinstance(value, bool):
        return None
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return _iso_moment(text, zone)
    seconds = number / 1000 if abs(number) >= 1e11 else number
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _iso_moment(text: str, zone: str) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text)
        aware = found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))
        return aware.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def _short_hash(record: Any) -> str:
    text = json.dumps(record, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
