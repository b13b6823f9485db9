"""Landed files as bytes: through .gz and .zst, whole, and no larger than they may be."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from carelake.warehouse.incoming import UnreadableFile

CHUNK = 1 << 20
MOST_BY_GZIP = 1032
"""Deflate packs no more than this many bytes into one, so a small .gz needs no counting."""


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


def require_sound(path: Path, max_bytes: int) -> None:
    """Refuse a packed file that is cut, or that would unpack to more than `max_bytes`.

    A .zst file is always gone through, because readers take what there is of a cut one for all
    there is. A .gz file only when it could be too large: a cut one fails when it is read.

    Raises:
        UnreadableFile: the file is cut, too large, or not what its name says.
    """
    if path.suffix == ".zst":
        sizes = _unpacked_zst(path)
    elif path.suffix == ".gz" and path.stat().st_size * MOST_BY_GZIP > max_bytes:
        sizes = _unpacked_gz(path)
    else:
        return
    total = 0
    for size in sizes:
        total += size
        if total > max_bytes:
            raise UnreadableFile(too_large(max_bytes))


def too_large(max_bytes: int) -> str:
    """What is said of a file that unpacks to more than it may."""
    return (
        f"cannot be read: it unpacks to more than {max_bytes:,} bytes; "
        "raise max_expanded_bytes of the source if that is right"
    )


def _unpacked_zst(path: Path) -> Iterator[int]:
    import zstandard

    unpacker = zstandard.ZstdDecompressor()
    frame = unpacker.decompressobj()
    is_open = True
    try:
        with path.open("rb") as file:
            # small bites: one of them may unpack to thousands of times its size
            while chunk := file.read(CHUNK // 64):
                while chunk:
                    frame = frame if is_open else unpacker.decompressobj()
                    yield len(frame.decompress(chunk))
                    is_open = not frame.eof
                    chunk = frame.unused_data if frame.eof else b""
    except zstandard.ZstdError as error:
        raise UnreadableFile(f"cannot be read: {error}") from error
    if is_open:
        raise UnreadableFile("cannot be read to its end: it is cut")


def _unpacked_gz(path: Path) -> Iterator[int]:
    try:
        with gzip.open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                yield len(chunk)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableFile(f"cannot be read to its end: {error}") from error


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
            while chunk := reader.read(CHUNK):
                writer.write(chunk.encode("utf-8", "surrogateescape"))
    except (OSError, EOFError, UnicodeError, zlib.error) as error:
        raise UnreadableFile(f"cannot be read as {encoding}: {error}") from error
    return target


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end
