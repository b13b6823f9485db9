"""Kind `imap`: read the mails of a mailbox, and land them as they came.

A server numbers the mails of a folder upwards (UID) and says when it begins anew (UIDVALIDITY). The
cursor is the newest number of each folder. What is read twice, because a folder was numbered anew or
a mail was moved, is told by its Message-ID and counts once.
"""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carelake.errors import ConfigError
from carelake.source import Source
from carelake.source_kinds.imap import ImapSettings
from carelake.sources.batches import ExtractResult, Place, begin_extract, write_batch
from carelake.sources.connections import find_connection
from carelake.sources.counting import Counted
from carelake.sources.imap_client import FOLDER, LOGIN, TRUST, Listed, MailServer
from carelake.sources.mail_pack import MailPack
from carelake.sources.patience import Passing, Refused
from carelake.window import EVERYTHING, Window

FETCHED_MESSAGES, FETCHED_BYTES = 200, 8_000_000
"""Mails asked for in one request: what is in memory at once, and lost when a connection is cut."""
LARGEST_MAIL = 100_000_000
"""Bytes; of a larger mail only so many land, and load rejects it."""
PROBED = 5
NO_FOLDERS = 10
"""Folders that are named when one is missing."""


def extract(
    source: Source,
    base: Path,
    landing: Path,
    window: Window = EVERYTHING,
    *,
    is_probe: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> ExtractResult:
    """Land the mails that are new since the last reading, or came in a window.

    What was read before a connection is cut for good lands, and the next run goes on behind it.

    Args:
        window: mails the server got in it; the cursor stays where it is.
        is_probe: read a few mails only.
        sleep: waits so many seconds between tries.
    """
    with begin_extract(landing, source.name) as place:
        try:
            settings = source.imap or ImapSettings()
            server = MailServer(settings, find_connection(source.connection or ""), sleep)
        except ConfigError as error:
            return ExtractResult(source.name, "failed", message=str(error))
        reading = _Reading(source, settings, server, place, window)
        try:
            reading.read(is_probe)
        except (Passing, Refused, ConfigError) as error:
            reading.faults.append(_told(source, error, settings.attempts))
        finally:
            server.close()
        return reading.result()


def count(source: Source, base: Path) -> Counted | None:
    """How many mails the folder holds, drafts left out.

    None with several folders: a mail may lie in two of them, and counts once with us.

    Raises:
        Passing, Refused: the server does not answer.
        ConfigError: the connection is missing or lacks something.
    """
    settings = source.imap or ImapSettings()
    server = MailServer(settings, find_connection(source.connection or ""))
    try:
        folders = [folder for name in settings.folders for folder in server.matching(name)]
        if len(folders) != 1:
            return None
        return Counted(len(server.search(folders[0], "ALL")), f"mails in {folders[0]}")
    finally:
        server.close()


@dataclass
class _Reading:
    """One reading of all folders of a source.

    Attributes:
        cursor: per folder the numbering, its newest mail and the last ones before it.
        faults: what went wrong, as a person reads it.
    """

    source: Source
    settings: ImapSettings
    server: MailServer
    place: Place
    window: Window
    faults: list[str] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)
    n_messages: int = 0
    n_bytes: int = 0
    n_requests_before: int = 0

    def __post_init__(self) -> None:
        self.landed_cursor: dict[str, Any] = self.place.cursor
        self.cursor: dict[str, Any] = copy.deepcopy(self.place.cursor)
        self.began = time.monotonic()
        self.pack = self._new_pack()

    def read(self, is_probe: bool) -> None:
        """Read every folder; a missing one does not keep the others from being read."""
        folders = self._folders()
        if self.source.mode == "snapshot":
            self._read_snapshot(folders)
            return
        try:
            for folder in folders:
                uids = self._new_in(folder)
                self._fetch(folder, uids[:PROBED] if is_probe else uids)
                if is_probe and self.pack.n_messages:
                    break
        finally:
            self._seal()

    def result(self) -> ExtractResult:
        """What the extract did; failed if anything did, though the rest is landed."""
        found = ExtractResult(self.source.name, "nothing_new", self.batches, self.n_messages)
        found.n_bytes = self.n_bytes
        found.message = f"nothing new{f' {self.window}' if self.window else ''}"
        if self.batches:
            found.outcome = "extracted"
            found.message = f"{self.n_messages:,} mails, {self.n_bytes:,} bytes"
        if self.faults:
            landed = f"; {found.message} landed" if self.batches else ""
            found.outcome, found.message = "failed", f"{'; '.join(self.faults)}{landed}"
        return found

    def _folders(self) -> list[str]:
        """The folders to read; of those that are not there it is told which there are."""
        found: dict[str, int] = {}
        for name in self.settings.folders:
            there = self.server.matching(name)
            if not there:
                self.faults.append(self._missing(name))
            for folder in there:
                if folder in found:
                    continue
                try:
                    found[folder] = self.server.validity(folder)
                except Refused as refusal:
                    if refusal.status != FOLDER:
                        raise
                    self.faults.append(self._missing(folder))
        return list(found)

    def _missing(self, name: str) -> str:
        there = self.server.folders()
        more = ", ..." if len(there) > NO_FOLDERS else ""
        return (
            f"connection '{self.source.connection}': there is no folder '{name}'; correct "
            f"imap.folders, there are {', '.join(sorted(there)[:NO_FOLDERS])}{more}"
        )

    def _new_in(self, folder: str) -> list[int]:
        """Numbers of the mails that were not landed yet, or lie about in the window."""
        if self.window:
            return self.server.search(folder, _days(self.window))
        validity = self.server.validity(folder)
        known = self.cursor.setdefault("folders", {}).get(folder)
        if known is None or known["uidvalidity"] != validity:
            known = {"uidvalidity": validity, "uid": 0, "recent": []}
            self.cursor["folders"][folder] = known
        first = max(1, known["uid"] - self.settings.look_back + 1)
        recent = set(known["recent"])
        # a server answers `9:*` with its last mail even when that is mail 7
        uids = self.server.search(folder, f"UID {first}:*")
        return [uid for uid in uids if uid >= first and uid not in recent and uid != known["uid"]]

    def _fetch(self, folder: str, uids: list[int], *, is_whole: bool = False) -> None:
        """Read mails in their order into the pack, and land the pack whenever it is full."""
        validity = self.server.validity(folder)
        for some in _in_turn(self.server.listed(folder, uids), self.window):
            limit = LARGEST_MAIL + 1 if some[0].size > LARGEST_MAIL else 0
            bodies = self.server.bodies(folder, [mail.uid for mail in some], limit)
            for mail in some:
                if mail.uid in bodies:
                    self.pack.add(_name(folder, validity, mail), bodies[mail.uid], mail.came)
                self._note(folder, mail.uid)
            is_full = (
                self.pack.n_messages >= self.settings.batch_messages
                or self.pack.n_bytes >= self.settings.batch_bytes
            )
            if is_full and not is_whole:
                self._seal()

    def _note(self, folder: str, uid: int) -> None:
        """Move the cursor behind a mail; a window leaves it where it is."""
        if self.window or self.source.mode == "snapshot":
            return
        known = self.cursor["folders"][folder]
        known["uid"] = max(known["uid"], uid)
        edge = known["uid"] - self.settings.look_back
        known["recent"] = [u for u in [*known["recent"], uid] if u > edge]

    def _read_snapshot(self, folders: list[str]) -> None:
        """Read everything if anything changed; half of it would make the rest deletions."""
        if self.faults:
            return
        there = {f: (self.server.validity(f), self.server.search(f, "ALL")) for f in folders}
        digest = hashlib.sha256(json.dumps(there, sort_keys=True).encode()).hexdigest()
        if self.cursor.get("digest") == digest:
            return
        for folder, (_, uids) in there.items():
            self._fetch(folder, uids, is_whole=True)
        self.cursor = {"digest": digest}
        self._seal()

    def _new_pack(self) -> MailPack:
        folder = self.place.draft / f"{len(self.batches) + 1:06d}"
        folder.mkdir()
        return MailPack(folder)

    def _seal(self) -> None:
        """Land what is in the pack as a batch; what is behind it is read by nobody again."""
        files = self.pack.close()
        if not files:
            return
        now = time.monotonic()
        manifest = write_batch(
            self.place.landing,
            self.source,
            files,
            number=self.place.number + len(self.batches),
            extracted_at=dt.datetime.now(dt.UTC),
            cursor_before=self.landed_cursor,
            cursor_after=copy.deepcopy(self.cursor),
            window=self.window,
            details={
                "messages": self.pack.n_messages,
                "requests": self.server.n_requests - self.n_requests_before,
                "seconds": round(now - self.began, 3),
            },
        )
        shutil.rmtree(files[0][1].parent)
        self.batches.append(manifest.batch_id)
        self.n_messages += self.pack.n_messages
        self.n_bytes += self.pack.n_bytes
        self.landed_cursor = manifest.cursor_after
        self.began, self.n_requests_before = now, self.server.n_requests
        self.pack = self._new_pack()


def _in_turn(mails: list[Listed], window: Window) -> Iterator[list[Listed]]:
    """Mails in groups that are asked for together; one that is large comes alone."""
    group: list[Listed] = []
    n_bytes = 0
    for mail in mails:
        if window and (mail.came is None or mail.came not in window):
            continue
        if group and (len(group) >= FETCHED_MESSAGES or n_bytes + mail.size > FETCHED_BYTES):
            yield group
            group, n_bytes = [], 0
        group.append(mail)
        n_bytes += mail.size
    if group:
        yield group


def _days(window: Window) -> str:
    """A window as servers can search for it: whole days, in a zone that is the server's own."""
    day = dt.timedelta(days=1)
    parts = []
    if window.since:
        parts.append(f"SINCE {_date(window.since - day)}")
    if window.until:
        parts.append(f"BEFORE {_date(window.until + 2 * day)}")
    return " ".join(parts)


MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def _date(moment: dt.datetime) -> str:
    # not strftime: months have English names whatever the locale
    utc = moment.astimezone(dt.UTC)
    return f"{utc.day}-{MONTHS[utc.month - 1]}-{utc.year:04d}"


def _name(folder: str, validity: int, mail: Listed) -> str:
    """What a mail is called in the pack: folder, numbering, number and flags, as in INBOX/17.42,RS.eml."""
    flags = f",{mail.flags}" if mail.flags else ""
    return f"{folder}/{validity}.{mail.uid}{flags}.eml"


MENDS = {
    LOGIN: "correct login and password, or let the mailbox be read by IMAP",
    TRUST: "correct imap.security, port or certificate",
}


def _told(source: Source, error: Exception, attempts: int) -> str:
    named = f"connection '{source.connection}': "
    if isinstance(error, Refused):
        mend = MENDS.get(error.status)
        return f"{named}{error}" + (f"; {mend}" if mend else "")
    if isinstance(error, Passing):
        return f"{named}{error} ({attempts} tries); the next run goes on"
    return str(error)
