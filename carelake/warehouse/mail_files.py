"""Landed mail: every message a row, or a reject with the reason.

Two forms land: an mbox file as it came, and a tar of single mails. A large one is parsed by several
processes, each a stretch of it.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from carelake.warehouse.csv_repair import RAW_TEXT_LIMIT, UNREADABLE
from carelake.warehouse.emails import parse_message
from carelake.warehouse.incoming import Reject, UnreadableFile
from carelake.warehouse.lines import HEAD, Lines, ends_in_cr
from carelake.warehouse.packed import open_plain

MAX_MESSAGE_BYTES = 100_000_000
"""Mail servers refuse larger ones; one that never ends must not take all memory."""
WORTH_A_PROCESS = 8_000_000
"""Bytes of mail whose parsing takes longer than starting a process for it."""
PATIENCE = 3_600
"""Seconds a helper process may take."""
BOUNDARY = re.compile(rb"\n[^\S\n]*\nFrom ")


@dataclass
class Parsed:
    """What became of the messages of a file, or of a stretch of it.

    Attributes:
        n_messages: rows and rejects.
        n_lines: of an mbox, to number the lines of what follows.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    n_messages: int = 0
    n_lines: int = 0

    def append(self, other: Parsed) -> None:
        """Take in what follows, numbered on."""
        for row in other.rows:
            row["__row"] += self.n_messages
            self.rows.append(row)
        for reject in other.rejects:
            line = None if reject.line_number is None else reject.line_number + self.n_lines
            number = (reject.row_number or 0) + self.n_messages
            self.rejects.append(Reject(number, line, reject.reason, reject.raw_text))
        self.n_messages += other.n_messages
        self.n_lines += other.n_lines

    def take(
        self, raw: bytes, name: str | None, line: int | None, fault: str | None, came: str | None
    ) -> None:
        """Parse one more message."""
        self.n_messages += 1
        try:
            if fault:
                raise ValueError(fault)
            row = parse_message(raw, came)
        except Exception as error:  # the standard parser raises many kinds on broken mail
            text = raw[:RAW_TEXT_LIMIT].decode("utf-8", "replace")
            at = f"{name}: " if name else ""
            reason = f"{at}is no readable message: {error}"
            self.rejects.append(Reject(self.n_messages, line, reason, text))
            return
        self.rows.append({"__row": self.n_messages, **row})


def read_mbox(path: Path, max_line_bytes: int = 16_000_000, processes: int = 1) -> Parsed:
    """Parse an mbox file.

    Args:
        max_line_bytes: a message with a longer line is given up.
        processes: how many may work at it.

    Raises:
        UnreadableFile: the file cannot be read to its end, or is no mbox.
    """
    is_plain = path.suffix not in (".gz", ".zst")
    cuts = _mbox_cuts(path, processes) if is_plain else []
    if not cuts:
        return mbox_stretch(path, 0, None, max_line_bytes)
    first = (path, 0, cuts[0], max_line_bytes)
    others = zip(cuts, [*cuts[1:], None], strict=True)
    return _together("mbox", [first, *((path, lo, hi, max_line_bytes) for lo, hi in others)])


def read_tar(path: Path, max_line_bytes: int = 16_000_000, processes: int = 1) -> Parsed:
    """Parse a tar of mails, one a file; its name goes with what is said of it.

    Args:
        max_line_bytes: a message with a longer line is given up.
        processes: how many may work at it.

    Raises:
        UnreadableFile: the file cannot be read to its end, or is no tar.
    """
    cuts = _tar_cuts(path, processes)
    stretches = zip([0, *cuts], [*cuts, None], strict=True)
    return _together("tar", [(path, lo, hi, max_line_bytes) for lo, hi in stretches])


def _stretches(path: Path, processes: int) -> int:
    return min(processes, path.stat().st_size // WORTH_A_PROCESS + 1)


def _mbox_cuts(path: Path, processes: int) -> list[int]:
    """Where messages begin that divide the file into about equal stretches."""
    wanted, size, found = _stretches(path, processes), path.stat().st_size, []
    with path.open("rb") as file:
        if wanted < 2 or ends_in_cr(file.read(HEAD)):
            return []
        for part in range(1, wanted):
            at = size * part // wanted
            file.seek(at)
            # a stretch without a beginning in the next megabytes is not worth looking on for
            match = BOUNDARY.search(file.read(8 * HEAD))
            if match:
                found.append(at + match.end() - len(b"From "))
    return sorted(set(found))


def _tar_cuts(path: Path, processes: int) -> list[int]:
    wanted, size, found = _stretches(path, processes), path.stat().st_size, list[int]()
    if wanted < 2:
        return []
    for member in _members(path, 0, None):
        if member.offset > size * (len(found) + 1) // wanted:
            found.append(member.offset)
            if len(found) == wanted - 1:
                break
    return found


def _together(form: str, stretches: list[tuple[Path, int, int | None, int]]) -> Parsed:
    """Parse stretches side by side, and number them as one."""
    result = Parsed()
    with ThreadPoolExecutor(len(stretches)) as pool:
        begun = [pool.submit(_elsewhere, form, *stretch) for stretch in stretches[1:]]
        result.append(STRETCHES[form](*stretches[0]))
        for waiting in begun:
            result.append(waiting.result())
    return result


def _elsewhere(form: str, path: Path, lo: int, hi: int | None, max_line_bytes: int) -> Parsed:
    """Parse a stretch in a process of its own, or here when none can be had.

    A new program, not a fork: an Airflow task may have no children of its own making, and one of a
    process that holds DuckDB's threads could hang.
    """
    order = json.dumps([form, str(path), lo, hi, max_line_bytes])
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "carelake.warehouse.mail_worker", order],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, check=True, timeout=PATIENCE,
        )  # fmt: skip
        # our own program wrote it, into a pipe that nobody else has
        found: Parsed = pickle.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, pickle.UnpicklingError, EOFError):
        return STRETCHES[form](path, lo, hi, max_line_bytes)
    return found


# -- mbox ----------------------------------------------------------------------------------------
def mbox_stretch(path: Path, lo: int, hi: int | None, max_line_bytes: int) -> Parsed:
    """Parse the messages of an mbox that begin at `lo` or later, and before `hi`."""
    result = Parsed()
    try:
        for line, raw, fault in _messages(path, lo, hi, max_line_bytes, result):
            result.take(raw, None, line, fault, None)
    except UNREADABLE as error:
        raise UnreadableFile(f"cannot be read to its end: {error}") from error
    return result


def _messages(
    path: Path, lo: int, hi: int | None, max_line_bytes: int, count: Parsed
) -> Iterator[tuple[int, bytes, str | None]]:
    """Yield (line of its `From ` separator, bytes, why it is given up or None) per message."""
    start, parts, size = 0, list[bytes](), 0
    fault: str | None = None
    blank, left = True, hi - lo if hi is not None else -1
    with open_plain(path) as file:
        swapped = ends_in_cr(file.read(HEAD))
    with open_plain(path) as file:
        file.seek(lo)
        lines = Lines(_Stretch.of(file, left), max_line_bytes, swapped=swapped)
        for number, line in lines:
            count.n_lines = number
            if blank and line.startswith(b"From "):
                if start:
                    yield start, b"".join(parts), fault
                start, parts, size, fault = number, [], 0, None
            elif start:
                fault = fault or _too_large(lines.overlong(line), size + len(line))
                if fault is None or not parts:
                    parts.append(line[1:] if line[:1] == b">" and QUOTED.match(line) else line)
                    size += len(line)
            elif line.strip():
                raise UnreadableFile("does not begin with a `From ` line, so it is no mbox file")
            blank = not line.strip()
    if start:
        yield start, b"".join(parts), fault


QUOTED = re.compile(rb">+From ")


class _Stretch:
    """The lines of a file up to a place."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file, self._left = file, left

    @classmethod
    def of(cls, file: BinaryIO, left: int) -> Any:
        """The file itself where it is wanted to its end."""
        return file if left < 0 else cls(file, left)

    def readline(self, limit: int) -> bytes:
        """As a file's own, until nothing is left."""
        line = self._file.readline(min(limit, self._left))
        self._left -= len(line)
        return line


def _too_large(overlong: str | None, size: int) -> str | None:
    if overlong:
        return f"one of its lines {overlong}"
    return f"it is larger than {MAX_MESSAGE_BYTES:,} bytes" if size > MAX_MESSAGE_BYTES else None


# -- single mails --------------------------------------------------------------------------------
def tar_stretch(path: Path, lo: int, hi: int | None, max_line_bytes: int) -> Parsed:
    """Parse the mails of a tar whose headers lie at `lo` or later, and before `hi`."""
    result = Parsed()
    with path.open("rb") as file:
        for member in _members(path, lo, hi):
            file.seek(member.offset_data)
            raw = file.read(min(member.size, MAX_MESSAGE_BYTES + 1))
            came = datetime.fromtimestamp(member.mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            fault = _too_large(_overlong(raw, max_line_bytes), member.size)
            result.take(raw, member.name, None, fault, came if member.mtime else None)
    return result


def _members(path: Path, lo: int, hi: int | None) -> Iterator[tarfile.TarInfo]:
    try:
        with path.open("rb") as file:
            file.seek(lo)
            with tarfile.open(fileobj=file, mode="r:", errorlevel=2) as tar:
                while (member := tar.next()) is not None and (hi is None or member.offset < hi):
                    tar.members = []  # type: ignore[attr-defined]  # it keeps what it has read
                    yield member
    except (tarfile.TarError, OSError) as error:
        raise UnreadableFile(f"cannot be read to its end: {error}") from error


def _overlong(raw: bytes, max_line_bytes: int) -> str | None:
    if len(raw) <= max_line_bytes:
        return None
    is_long = any(len(line) > max_line_bytes for line in BytesIO(raw))
    return f"is longer than {max_line_bytes:,} bytes" if is_long else None


STRETCHES = {"mbox": mbox_stretch, "tar": tar_stretch}
