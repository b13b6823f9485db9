"""Physical lines of a file that may hold anything: bounded in length, numbered, with look-ahead."""

from __future__ import annotations

import codecs
import io
from collections import deque
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

HEAD = 1 << 20
_SWAP = bytes.maketrans(b"\r\n", b"\n\r")


def ends_in_cr(head: bytes) -> bool:
    """Whether lines end in a lone carriage return, as old spreadsheets write them.

    Args:
        head: the beginning of the file.
    """
    return b"\n" not in head and b"\r" in head.rstrip(b"\r")


def swap_ends(text: str) -> str:
    """Carriage returns for newlines and newlines for carriage returns."""
    return text.translate({10: 13, 13: 10})


class Lines:
    """Lines as bytes, ends included, numbered from 1; of an overlong one only the beginning.

    A byte order mark is taken off. With `swapped`, lines end in a lone carriage return and all
    ends are handed out swapped.
    """

    def __init__(self, reader: BinaryIO, max_line_bytes: int, *, swapped: bool = False) -> None:
        self._reader = _swapped(reader) if swapped else reader
        self._limit = max_line_bytes
        self._ahead: deque[bytes] = deque()
        self._number = 0
        self._is_first = True

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        while (line := self._next()) is not None:
            self._number += 1
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
        for _ in range(count):
            self._ahead.popleft()
        self._number += count

    def overlong(self, line: bytes) -> str | None:
        """Why a line is too long to be a record."""
        is_long = len(line) > self._limit and len(without_end(line)) > self._limit
        return f"is longer than {self._limit:,} bytes" if is_long else None

    def _next(self) -> bytes | None:
        return self._ahead.popleft() if self._ahead else self._read()

    def _read(self) -> bytes | None:
        line = self._reader.readline(self._limit + 2)
        if not line:
            return None
        if not line.endswith(b"\n") and len(line) >= self._limit + 2:
            while (rest := self._reader.readline(HEAD)) and not rest.endswith(b"\n"):
                pass
        if self._is_first:
            self._is_first = False
            return line.removeprefix(codecs.BOM_UTF8)
        return line


def without_end(line: bytes) -> bytes:
    """A line without the one end it has; half of one, at the end of a file, is one too."""
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _swapped(reader: BinaryIO) -> BinaryIO:
    raw: Any = _Swapped(reader)
    return cast(BinaryIO, io.BufferedReader(raw, HEAD))


class _Swapped(io.RawIOBase):
    """A stream with carriage returns and newlines exchanged."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        chunk = self._source.read(len(buffer)).translate(_SWAP)
        buffer[: len(chunk)] = chunk
        return len(chunk)
