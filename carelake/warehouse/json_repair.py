"""What can be saved of JSON that DuckDB's reader refuses, record by record."""

from __future__ import annotations

import json
import re
from pathlib import Path

from carelake.warehouse.csv_repair import RAW_TEXT_LIMIT
from carelake.warehouse.incoming import Reject
from carelake.warehouse.lines import HEAD, Lines, ends_in_cr, without_end
from carelake.warehouse.packed import open_plain

ESCAPES = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
HIGH, LOW = range(0xD800, 0xDC00), range(0xDC00, 0xE000)
NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\udc80-\udcff]")
MARK = "\ufdd0\ufdd1"
"""Two code points that no text has: they stand for a byte that is none."""


def repair_lines(path: Path, target: Path, max_line_bytes: int) -> list[Reject]:
    """Copy the lines of a JSON lines file that are text to `target`; give the others back.

    The place of a line that is given up stays blank, so that the others keep their numbers.
    """
    rejects: list[Reject] = []
    with open_plain(path) as reader:
        swapped = ends_in_cr(reader.read(HEAD))
    with open_plain(path) as reader, target.open("wb") as writer:
        lines = Lines(reader, max_line_bytes, swapped=swapped)
        for number, line in lines:
            body = without_end(line)
            reason = lines.overlong(line) or _fault(body)
            if reason:
                text = body[:RAW_TEXT_LIMIT].decode("utf-8", "replace")
                rejects.append(Reject(number, number, reason, text))
            # a carriage return between two members is a blank like any other
            writer.write(b"\n" if reason else body.replace(b"\r", b" ") + b"\n")
    return rejects


def _fault(line: bytes) -> str | None:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return "is not valid text in the file's encoding"
    if NO_TEXT.search(text):
        return "is not valid JSON"
    if "\r" in text and text.strip(" \t\r"):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return "is not valid JSON"
    return None


def mend_text(text: str) -> str | None:
    """JSON without half surrogate pairs, each a U+FFFD instead; None where that was not the fault.

    Programs that cut a text in the middle of an emoji leave such halves behind.
    """
    if "\\u" not in text:
        return None
    pieces: list[str] = []
    done = 0
    found = list(ESCAPES.finditer(text))
    codes = [int(match[1], 16) if match[1] else 0 for match in found]
    for i, match in enumerate(found):
        if codes[i] not in HIGH and codes[i] not in LOW:
            continue
        before = i > 0 and found[i - 1].end() == match.start() and codes[i - 1] in HIGH
        after = i + 1 < len(found) and found[i + 1].start() == match.end() and codes[i + 1] in LOW
        if (codes[i] in HIGH and after) or (codes[i] in LOW and before):
            continue
        pieces += [text[done : match.start()], "\\ufffd"]
        done = match.end()
    return "".join([*pieces, text[done:]]) if pieces else None


def mend_document(path: Path, target: Path, max_bytes: int) -> Path | None:
    """A copy of a JSON document that reads although some text in it does not.

    Half surrogate pairs become U+FFFD, a byte that is no text becomes `MARK`. None where there is
    nothing to mend.
    """
    with open_plain(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        return None
    text = content.decode("utf-8-sig", "surrogateescape")
    mended = NO_TEXT.sub(MARK, mend_text(text) or text)
    if mended == text:
        return None
    target.write_text(mended, encoding="utf-8", newline="")
    return target
