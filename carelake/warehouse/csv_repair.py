"""The careful way through a CSV file that DuckDB's reader stumbled over.

One broken quote can make a fast reader swallow, or lose, the good lines that follow. This pass goes
through the file line by line, gives each broken record up alone, and leaves a clean copy that the
fast reader then takes whole. It runs only for files with a fault.

Both ways read alike: a field is quoted when a quote stands at its beginning, one blank before it at
most; blanks behind the closing quote do not count; empty fields too many at the end are none.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from carelake.warehouse.incoming import Reject, UnreadableFile
from carelake.warehouse.lines import HEAD, Lines, ends_in_cr, swap_ends, without_end
from carelake.warehouse.packed import open_plain

MAX_REJECTS = 500_000
"""A file with more broken records has the wrong delimiter, quote or encoding, or is an attack."""
SAMPLE = 64_000
MAX_LINES = 100_000
"""Lines of one record."""
MAX_ALIKE = 500
"""After so many lines that look like records of their own, an open quote was never closed."""
RAW_TEXT_LIMIT = 10_000
SEAM = 100
"""Bytes before a quote that tell what it is."""
DELIMITERS = ",;\t|"
UNREADABLE = (OSError, EOFError, zlib.error)


@dataclass(frozen=True)
class Dialect:
    """How the fields of a CSV file are told apart."""

    delimiter: str = ","
    quote: str = '"'


@dataclass(frozen=True)
class Head:
    """How a CSV file begins.

    Attributes:
        first: the fields of its first record, empty when the file has none.
        n_columns: fields a record has.
        dialect: how they are told apart.
        is_plain: False when blank lines come first, which only the careful way skips.
    """

    first: list[str]
    n_columns: int
    dialect: Dialect
    is_plain: bool


class Splitter:
    """Splits one record into fields, line by line, so that a long one is gone through once.

    Attributes:
        fields: those that are complete.
        is_open: a quoted field goes on in the next line.
        fault: what is wrong with the record.
        has_stray_quote: a plain field holds a quote.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.fields: list[str] = []
        self.is_open = False
        self.fault: str | None = None
        self.has_stray_quote = False
        self._parts: list[str] = []
        self._delimiter, self._quote = dialect.delimiter, dialect.quote

    def feed(self, text: str, end: str = "") -> None:
        """Take one line; its `end` belongs to a field that stays open."""
        at = 0
        while True:
            if not self.is_open:
                opening = self._opening(text, at)
                if not opening:
                    stop = text.find(self._delimiter, at)
                    stop = len(text) if stop < 0 else stop
                    self.fields.append(text[at:stop])
                    self.has_stray_quote |= self._quote in self.fields[-1]
                self.is_open = opening > 0
                at += opening
            if self.is_open:
                closed = self._close(text, at)
                if closed is None:
                    self._parts.append(end)
                    return
                stop = closed
                if stop < len(text) and text[stop] != self._delimiter:
                    self.fault = "has text after a closing quote"
                    return
            if stop >= len(text):
                return
            at = stop + 1

    def _opening(self, text: str, at: int) -> int:
        """Length of what opens a quoted field here, 0 when the field is a plain one."""
        if text.startswith(self._quote, at):
            return 1
        return 2 if text.startswith(" " + self._quote, at) else 0

    def _close(self, text: str, at: int) -> int | None:
        """Take the quoted text; gives the place behind its end, None when it goes on."""
        while (stop := text.find(self._quote, at)) >= 0:
            self._parts.append(text[at:stop])
            if not text.startswith(self._quote, stop + 1):
                self.fields.append("".join(self._parts))
                self._parts, self.is_open = [], False
                stop += 1
                while text.startswith(" ", stop):
                    stop += 1
                return stop
            self._parts.append(self._quote)
            at = stop + 2
        self._parts.append(text[at:])
        return None

    def count_fault(self, n_columns: int) -> str | None:
        """Why the fields are not those of a record; drops empty ones too many at the end."""
        while len(self.fields) > n_columns and not self.fields[-1]:
            self.fields.pop()
        if len(self.fields) == n_columns:
            return None
        return f"has {len(self.fields)} fields where {n_columns} are expected"


def look_at(path: Path, dialect: Dialect | None, quote: str, limit: int, *, header: bool) -> Head:
    """Read how a file begins.

    Args:
        dialect: the one to use; found in the first line without.
        limit: longest line in bytes.

    Raises:
        UnreadableFile: it cannot be read, or its first record cannot name the columns.
    """
    try:
        with open_plain(path) as file:
            swapped = ends_in_cr(file.read(HEAD))
        with open_plain(path) as file:
            lines = Lines(file, limit, swapped=swapped)
            for number, line in lines:
                if not line.strip():
                    continue
                text = without_end(line).decode("utf-8", "replace")
                dialect = dialect or _find_dialect(text, quote)
                first = _first(line, lines, dialect, header=header)
                count = len(first.fields) if header else _usual_count(first, lines, dialect)
                return Head(first.fields or [""], count, dialect, number == 1)
    except UNREADABLE as error:
        raise UnreadableFile(f"cannot be read: {error}") from error
    return Head([], 0, dialect or Dialect(quote=quote), is_plain=True)


def _find_dialect(line: str, quote: str) -> Dialect:
    """The delimiter that splits the first line into most fields, without tearing quotes apart."""

    def count(delimiter: str) -> tuple[bool, int]:
        splitter = Splitter(Dialect(delimiter, quote))
        splitter.feed(line)
        return not splitter.fault and not splitter.has_stray_quote, len(splitter.fields)

    return Dialect(max(DELIMITERS, key=count), quote)


def _first(line: bytes, lines: Lines, dialect: Dialect, *, header: bool) -> Splitter:
    splitter, bad, ahead = Splitter(dialect), lines.overlong(line) or _bad_bytes(line), 0
    while True:
        body = without_end(line)
        splitter.feed(body.decode("utf-8", "replace"), _end(line, body))
        following = lines.peek(ahead) if splitter.is_open and ahead < MAX_ALIKE else None
        if following is None:
            break
        line, ahead = following, ahead + 1
        bad = bad or _bad_bytes(line)
    if header and (splitter.is_open or splitter.fault or bad):
        reason = bad or splitter.fault or "has a quote that is never closed"
        raise UnreadableFile(
            f"cannot be read: its first line {reason}, and it must name the columns"
        )
    if not splitter.is_open and not splitter.fault:
        lines.drop(ahead)
    return splitter


def _usual_count(first: Splitter, lines: Lines, dialect: Dialect) -> int:
    """Fields of most of the first records: without a header, the first may be the broken one."""
    found: Counter[int] = Counter()
    if not first.fault and not first.is_open:
        found[len(first.fields)] += 1
    i = 0
    while i < 100 and lines.peek(i) is not None:
        splitter, after = Splitter(dialect), i
        while (line := lines.peek(after)) is not None and after < i + 50:
            body = without_end(line)
            splitter.feed(body.decode("utf-8", "replace"), _end(line, body))
            after += 1
            if splitter.fault or not splitter.is_open:
                break
        is_whole = not splitter.fault and not splitter.is_open and splitter.fields != [""]
        if is_whole:
            found[len(splitter.fields)] += 1
        i = after if is_whole else i + 1
    return max(found, key=lambda count: (found[count], count), default=len(first.fields) or 1)


def may_be_endless(path: Path, head: Head, limit: int) -> bool:
    """Whether a plain file may hold a record longer than `limit` bytes.

    DuckDB's reader drops a record that spans its buffers without a word, so every stretch of half
    the limit must hold a line that is a record of its own. A few bytes of each tell, as a rule.
    """
    stretch = limit // 2
    with path.open("rb") as file:
        for start in range(0, path.stat().st_size - limit, stretch):
            file.seek(start)
            left = stretch
            while left > 0:
                lines = file.read(min(SAMPLE, left)).splitlines()
                if any(_is_whole(line, head) for line in lines[1:-1]):
                    break
                left -= SAMPLE
            else:
                return True
    return False


def may_go_on(path: Path, head: Head) -> bool:
    """Whether blanks and another quote may stand behind the closing quote of a field.

    DuckDB's reader takes that for more of the field, drops the quotes, and reads on over the ends of
    lines: behind a quote that was never closed, good records would end up in a text.

    Raises:
        UnreadableFile: the file is cut or not what its name says.
    """
    quote = head.dialect.quote.encode()
    seam = re.compile(re.escape(quote) + b"(?= +" + re.escape(quote) + b")")
    begins = (head.dialect.delimiter.encode(), b"\n", b"\r")
    left = b"\n"
    try:
        with open_plain(path) as file:
            while chunk := file.read(HEAD):
                text = left + chunk
                if any(
                    _closes(text, found.start(), quote, begins) for found in seam.finditer(text)
                ):
                    return True
                left = text[max(0, len(text.rstrip(b" ")) - SEAM) :]
                if len(left) > HEAD:  # a megabyte of blanks is no ordinary text
                    return True
    except UNREADABLE as error:
        raise UnreadableFile(f"cannot be read to its end: {error}") from error
    return False


def _closes(text: bytes, at: int, quote: bytes, begins: tuple[bytes, ...]) -> bool:
    """Whether the quote at a place ends a field: two in a row are one of its text."""
    before = text[max(0, at - SEAM) : at + 1]
    outside = before.rstrip(quote)
    is_odd = (len(before) - len(outside)) % 2 == 1
    if outside[-2:-1] in begins:  # one blank may stand before a field's first quote
        outside = outside.removesuffix(b" ")
    return is_odd != (outside[-1:] in begins)


def _is_whole(line: bytes, head: Head) -> bool:
    splitter = Splitter(head.dialect)
    splitter.feed(line.decode("utf-8", "replace"))
    return not (splitter.fault or splitter.is_open or splitter.count_fault(head.n_columns))


def repair(
    path: Path, target: Path, n_columns: int, dialect: Dialect, *, header: bool, max_line_bytes: int
) -> list[Reject]:
    """Copy the sound records of a UTF-8 CSV file to `target`, and return the others.

    Args:
        n_columns: fields a record must have.
        header: whether the first record names the columns; it is copied and not counted.

    Raises:
        UnreadableFile: the file is cut or not what its name says.
    """
    rejects: list[Reject] = []
    try:
        with open_plain(path) as reader:
            swapped = ends_in_cr(reader.read(HEAD))
        with open_plain(path) as reader, target.open("wb") as writer:
            ordinal = 0 if header else 1
            lines = Lines(reader, max_line_bytes, swapped=swapped)
            for line_number, record, reason in _records(
                lines, n_columns, dialect, max_line_bytes, header=header, swapped=swapped
            ):
                if reason is None:
                    writer.write(record + b"\n")
                elif ordinal == 0:
                    raise UnreadableFile(f"its first line {reason}; it must name the columns")
                else:
                    text = record[:RAW_TEXT_LIMIT].decode("utf-8", "replace")
                    rejects.append(Reject(ordinal, line_number, reason, text))
                    if len(rejects) > MAX_REJECTS:
                        raise UnreadableFile(
                            f"cannot be read: more than {MAX_REJECTS:,} of its records are broken"
                        )
                ordinal += 1
    except UNREADABLE as error:
        raise UnreadableFile(f"cannot be read to its end: {error}") from error
    return rejects


def shifts(rejects: list[Reject]) -> list[tuple[int, int]]:
    """Pairs (n-th sound record, how far its ordinal in the file lies beyond n), ascending.

    A pair holds until the next one begins.
    """
    steps: dict[int, int] = {}
    for i, reject in enumerate(rejects, start=1):
        if reject.row_number is not None:
            steps[reject.row_number - i + 1] = i
    return sorted(steps.items())


def _records(
    lines: Lines,
    n_columns: int,
    dialect: Dialect,
    max_bytes: int,
    *,
    header: bool,
    swapped: bool,
) -> Iterator[tuple[int, bytes, str | None]]:
    """Yield (line number, record in plain quoting, reason it is rejected or None)."""
    delimiter, quote = dialect.delimiter.encode(), dialect.quote.encode()
    is_first = header
    for number, line in lines:
        if not line.strip() and (n_columns > 1 or is_first):
            continue
        is_first = False
        body = without_end(line)
        if reason := lines.overlong(line):
            yield number, body, reason
        elif quote in body or b"\r" in body:
            record, reason = _quoted(line, lines, n_columns, dialect, max_bytes, swapped=swapped)
            yield number, record, reason
        elif reason := _bad_bytes(body):
            yield number, body, reason
        elif body.count(delimiter) + 1 == n_columns:
            yield number, body, None
        else:
            splitter = Splitter(dialect)
            splitter.feed(body.decode("utf-8"))
            reason = splitter.count_fault(n_columns)
            yield number, body if reason else _plain(splitter.fields, dialect, swapped), reason


def _quoted(
    line: bytes,
    lines: Lines,
    n_columns: int,
    dialect: Dialect,
    max_bytes: int,
    *,
    swapped: bool,
) -> tuple[bytes, str | None]:
    """A record with quotes: alone on its line, or with the lines that close its quote."""
    splitter = Splitter(dialect)
    first, parts, alike, size = without_end(line), [line], 0, len(line)
    delimiter = dialect.delimiter.encode()
    while True:
        body = without_end(parts[-1])
        splitter.feed(body.decode("utf-8", "surrogateescape"), _end(parts[-1], body))
        if splitter.fault or not splitter.is_open:
            break
        following = lines.peek(len(parts) - 1)
        if following is None or lines.overlong(following):
            break
        alike += following.count(delimiter) + 1 == n_columns
        size += len(following)
        if alike > MAX_ALIKE or len(parts) > MAX_LINES or size > max_bytes:
            break
        parts.append(following)
    if splitter.is_open or (splitter.fault and len(parts) > 1):
        # which quote is the wrong one is not known: the line is given up, the next ones are read
        return first, _bad_bytes(first) or "has a quote that is never closed"
    reason = splitter.fault or splitter.count_fault(n_columns)
    if reason:
        return first, _bad_bytes(first) or reason
    lines.drop(len(parts) - 1)
    whole = without_end(b"".join(parts))
    reason = _bad_bytes(whole)
    return (whole, reason) if reason else (_plain(splitter.fields, dialect, swapped), None)


def _end(line: bytes, body: bytes) -> str:
    return line[len(body) :].decode("ascii")


def _plain(fields: list[str], dialect: Dialect, swapped: bool) -> bytes:
    quote = dialect.quote
    record = dialect.delimiter.join(
        f"{quote}{field.replace(quote, quote + quote)}{quote}" for field in fields
    )
    return (swap_ends(record) if swapped else record).encode("utf-8")


def _bad_bytes(line: bytes) -> str | None:
    if b"\0" in line:
        return "contains a NUL byte"
    if not line.isascii():
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            return "is not valid text in the file's encoding"
    return None
