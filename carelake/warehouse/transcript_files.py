"""Landed transcripts as records: a WebVTT or JSON file is one, a file of JSON lines one a line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa

from carelake.warehouse.arrow_columns import integers, strings
from carelake.warehouse.csv_repair import RAW_TEXT_LIMIT
from carelake.warehouse.incoming import Incoming, Reject, UnreadableFile
from carelake.warehouse.packed import open_plain
from carelake.warehouse.staging import Staging

LARGEST = 64_000_000
"""Bytes of one transcript; a day of talk has fewer."""


def is_lines(path: Path) -> bool:
    """Whether a file holds a transcript a line."""
    return _ending(path) == ".jsonl"


def read_transcript(staging: Staging, path: Path, encoding: str) -> Incoming:
    """Read a file that is one transcript.

    Raises:
        UnreadableFile: it is no kind of transcript that is known.
    """
    ending = _ending(path)
    if ending not in (".vtt", ".json"):
        raise UnreadableFile(
            f"cannot be read: a transcript ends in .vtt, .json or .jsonl, not {ending or 'nothing'}"
        )
    with open_plain(path) as file:
        content = file.read(LARGEST + 1)
    if not content.strip():
        return Incoming("(select 1 as __row where false)", {}, "__row")
    text, fault = _checked(content, ending, encoding)
    rows, rejects = [text], []
    if fault is not None:
        rows, rejects = [], [Reject(1, None, fault, text[:RAW_TEXT_LIMIT])]
    table = {
        "__row": integers([1 for _ in rows]),
        "text": strings(rows),
        "is_json": pa.array([ending == ".json" for _ in rows], pa.bool_()),
    }
    staging.keep(staging.records, pa.table(table))
    return Incoming(staging.records, {"text": "text", "is_json": "is_json"}, "__row", rejects)


def _checked(content: bytes, ending: str, encoding: str) -> tuple[str, str | None]:
    """Its text, and why it is no transcript."""
    if len(content) > LARGEST:
        return content[:RAW_TEXT_LIMIT].decode(
            "utf-8", "replace"
        ), f"is longer than {LARGEST:,} bytes"
    try:
        text = content.decode(encoding).removeprefix("\ufeff").replace("\0", "")
    except UnicodeDecodeError as error:
        return content.decode(encoding, "replace"), f"is no {encoding} text ({error.reason})"
    if ending == ".vtt":
        is_sound = text.startswith("WEBVTT") or "-->" in text
        return text, None if is_sound else "is no WebVTT: it does not begin with WEBVTT"
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return text, f"is no JSON ({error})"
    return text, None


def _ending(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz").removesuffix(".zst")
    return Path(name).suffix
