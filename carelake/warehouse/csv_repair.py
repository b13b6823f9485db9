"""The careful way through a CSV file that DuckDB's reader stumbled over.

One broken quote can make a fast reader swallow, or lose, the good lines that follow. This pass goes
through the file line by line, gives each broken record up alone, and leaves a clean copy that the
fast reader then takes whole. It runs only for files with a fault.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from carelake.warehouse.incoming import Reject, UnreadableFile

MAX_RECORD_LINES = 500
"""A quoted field may span this many lines; a quote still open after them was never closed."""
RAW_TEXT_LIMIT = 10_000


@dataclass(frozen=True)
class Dialect:
    """How the fields of a CSV file are told apart."""

    delimiter: str = ","
    quote: str = '"'


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading bytes, through .gz and .zst."""
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix == ".zst":
        import zstandard

        packed = zstandard.ZstdDecompressor().stream_reader(
            path.open("rb"), read_across_frames=True, closefd=True
        )
        # its own reader knows no lines
        return cast(BinaryIO, io.BufferedReader(packed))
    return path.open("rb")


def require_whole(path: Path) -> None:
    """Refuse a .zst file that ends in the middle: readers take what there is for all there is.

    A cut .gz needs no such look, it fails when it is read.

    Raises:
        UnreadableFile: the file is cut, or no zstd file.
    """
    if path.suffix != ".zst":
        return
    import zstandard

    unpacker = zstandard.ZstdDecompressor()
    frame = unpacker.decompressobj()
    is_open = True
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                while chunk:
                    frame = frame if is_open else unpacker.decompressobj()
                    frame.decompress(chunk)
                    is_open = not frame.eof
                    chunk = frame.unused_data if frame.eof else b""
    except zstandard.ZstdError as error:
        raise UnreadableFile(f"cannot be read: {error}") from error
    if is_open:
        raise UnreadableFile("cannot be read to its end: it is cut")


def to_utf8(path: Path, encoding: str, target: Path) -> Path:
    """Write a file's text as UTF-8; a byte that is none becomes 0xFF, so its record is rejected.

    Raises:
        UnreadableFile: the file is cut or not what its name says.
    """
    codecs.register_error("carelake_mark", _mark)
    try:
        with (
            open_plain(path) as raw,
            io.TextIOWrapper(raw, encoding=encoding, errors="carelake_mark", newline="") as reader,
            target.open("wb") as writer,
        ):
            while chunk := reader.read(1 << 20):
                writer.write(chunk.encode("utf-8", "surrogateescape"))
    except (OSError, EOFError, UnicodeError) as error:
        raise UnreadableFile(f"cannot be read as {encoding}: {error}") from error
    return target


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


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
        with open_plain(path) as reader, target.open("wb") as writer:
            ordinal = 0 if header else 1
            for line_number, record, reason in _records(reader, n_columns, dialect, max_line_bytes):
                if reason is None:
                    writer.write(record + b"\n")
                elif ordinal == 0:
                    raise UnreadableFile(f"its first line {reason}; it must name the columns")
                else:
                    text = record[:RAW_TEXT_LIMIT].decode("utf-8", "replace")
                    rejects.append(Reject(ordinal, line_number, reason, text))
                ordinal += 1
    except (OSError, EOFError) as error:
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
    reader: BinaryIO, n_columns: int, dialect: Dialect, max_line_bytes: int
) -> Iterator[tuple[int, bytes, str | None]]:
    """Yield (line number, record in plain quoting, reason it is rejected or None)."""
    delimiter, quote = dialect.delimiter.encode(), dialect.quote.encode()
    lines = _Lines(reader, max_line_bytes)
    for number, line in lines:
        if not line.strip() and n_columns > 1:
            continue
        reason = lines.overlong(line) or _bad_bytes(line)
        if reason:
            yield number, line, reason
        elif quote not in line:
            found = line.count(delimiter) + 1
            yield number, line, None if found == n_columns else _miscount(found, n_columns)
        else:
            record, reason = _quoted(line, lines, n_columns, dialect, max_line_bytes)
            yield number, record, reason


def _quoted(
    line: bytes, lines: _Lines, n_columns: int, dialect: Dialect, max_bytes: int
) -> tuple[bytes, str | None]:
    """A record with quotes: alone on its line, or with the lines that close its quote."""
    parts = [line]
    while True:
        fields, fault = _parse(b"\n".join(parts), dialect)
        if fields is not None:
            if len(fields) == n_columns:
                lines.drop(len(parts) - 1)
                return _plain(fields, dialect), None
            return line, _miscount(len(fields), n_columns)
        following = lines.peek(len(parts) - 1) if fault == "open" else None
        too_long = len(parts) >= MAX_RECORD_LINES or sum(map(len, parts)) > max_bytes
        if following is None or too_long or _bad_bytes(following):
            reason = "has a quote that is never closed" if fault == "open" else fault
            return line, reason or "cannot be split into fields"
        parts.append(following)


def _parse(record: bytes, dialect: Dialect) -> tuple[list[str] | None, str]:
    reader = csv.reader(
        io.StringIO(record.decode("utf-8"), newline=""),
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        strict=True,
    )
    try:
        rows = list(reader)
    except csv.Error as error:
        is_open = "unexpected end of data" in str(error)
        return None, "open" if is_open else "has text after a closing quote"
    return (rows[0], "") if len(rows) == 1 else (None, "holds several records in one")


def _plain(fields: list[str], dialect: Dialect) -> bytes:
    out = io.StringIO()
    csv.writer(
        out,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        quoting=csv.QUOTE_ALL,
        lineterminator="",
    ).writerow(fields)
    return out.getvalue().encode("utf-8")


def _bad_bytes(line: bytes) -> str | None:
    if b"\0" in line:
        return "contains a NUL byte"
    if not line.isascii():
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            return "is not valid text in the file's encoding"
    return None


def _miscount(found: int, expected: int) -> str:
    return f"has {found} fields where {expected} are expected"


class _Lines:
    """Physical lines with look-ahead, numbered from 1; an overlong one is cut, its rest skipped."""

    def __init__(self, reader: BinaryIO, max_line_bytes: int) -> None:
        self._reader = reader
        self._limit = max_line_bytes
        self._ahead: list[bytes] = []
        self._number = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        while (line := self._next()) is not None:
            self._number += 1
            if self._number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            yield self._number, line

    def peek(self, offset: int) -> bytes | None:
        """The line `offset` after the next one, None at the end."""
        while len(self._ahead) <= offset:
            line = self._read()
            if line is None:
                return None
            self._ahead.append(line)
        return self._ahead[offset]

    def drop(self, count: int) -> None:
        """Take the next `count` lines as read."""
        del self._ahead[:count]
        self._number += count

    def overlong(self, line: bytes) -> str | None:
        """Why a line is too long to be a record."""
        return f"is longer than {self._limit:,} bytes" if len(line) > self._limit else None

    def _next(self) -> bytes | None:
        return self._ahead.pop(0) if self._ahead else self._read()

    def _read(self) -> bytes | None:
        line = self._reader.readline(self._limit + 2)
        if not line:
            return None
        if not line.endswith(b"\n") and len(line) >= self._limit + 2:
            while (rest := self._reader.readline(1 << 20)) and not rest.endswith(b"\n"):
                pass
        return line.rstrip(b"\r\n")
