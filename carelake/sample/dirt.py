"""Damage done on purpose: each broken, repeated or outdated record knows why it is one."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from carelake.sample.delivery import Record, csv_line, json_line

Spoiler = Callable[[Record], Record]
"""Makes a broken record of a good one; the good one stays in the file as well."""


def plant(records: list[Record], spoilers: Sequence[Spoiler]) -> list[Record]:
    """Insert one broken record for each spoiler, at places spread evenly over the file.

    The broken record is a copy under an id of its own, so what it would say is not lost: a
    pipeline that drops it loses nothing, and one that lets it through shows a record too many.
    """
    if not records:
        return records
    result = list(records)
    step = len(records) / (len(spoilers) + 1)
    for number in range(len(spoilers), 0, -1):
        place = min(len(records) - 1, int(number * step))
        result.insert(place + 1, spoilers[number - 1](records[place]))
    return result


def repeat(rng: random.Random, records: list[Record], share: float) -> list[Record]:
    """Insert exact copies of some records a few places after the first."""
    result: list[Record] = []
    waiting: list[tuple[int, Record]] = []
    for place, record in enumerate(records):
        result.append(record)
        if not record.broken and rng.random() < share:
            waiting.append((place + rng.randint(0, 5), record))
        result.extend(late for due, late in waiting if due == place)
    placed = len(records)
    result.extend(late for due, late in waiting if due >= placed)
    return result


def overlap(
    files: list[tuple[str, list[Record]]], rows: int = 12
) -> list[tuple[str, list[Record]]]:
    """Let every file but the first begin with the last good records of the one before."""
    result = files[:1]
    for (_, before), (name, records) in pairwise(files):
        again = [record for record in before if not record.broken][-rows:]
        result.append((name, [*again, *records]))
    return result


def field(key_column: str, column: str, value: Any, reason: str) -> Spoiler:
    """Return a spoiler that puts an impossible value into a column."""

    def spoil(record: Record) -> Record:
        key = f"{record.key}-{column}"
        values = {**record.values, key_column: key, column: value}
        return replace(record, values=values, key=key, broken=reason, stage="staging")

    return spoil


def no_key(key_column: str, ours: str) -> Spoiler:
    """Return a spoiler that takes the record's id away."""

    def spoil(record: Record) -> Record:
        values = {**record.values, key_column: None}
        return replace(record, values=values, key="", broken=f"{ours} is missing", stage="staging")

    return spoil


def line(kind: str, encoding: str = "utf-8") -> Spoiler:
    """Return a spoiler of a CSV line.

    Args:
        kind: `too few fields`, `too many fields`, `unclosed quote`, `NUL` or `wrong charset`.
        encoding: of the file.
    """

    def spoil(record: Record) -> Record:
        cells = ["" if value is None else str(value) for value in record.values.values()]
        cells[0] += "-bad"
        match kind:
            case "too few fields":
                raw = csv_line(cells[:3], encoding)
            case "too many fields":
                raw = csv_line([*cells, "more", "and more"], encoding)
            case "unclosed quote":
                plain = [cell.replace('"', "").replace(",", " ") for cell in cells]
                raw = (",".join([*plain[:-1], '"' + plain[-1]]) + "\n").encode(encoding)
            case "NUL":
                raw = csv_line([*cells[:-1], "half\0written"], encoding)
            case "wrong charset":
                raw = csv_line([*cells[:-1], "@@"], encoding)
                raw = raw.replace(b"@@", "编码错误".encode("gb18030"))
            case _:
                raise ValueError(kind)
        return replace(record, key=cells[0], broken=kind, stage="load", raw=raw)

    return spoil


def json_text(kind: str) -> Spoiler:
    """Return a spoiler of a line of JSON: `cut off` in the middle, or `not JSON` at all."""

    def spoil(record: Record) -> Record:
        whole = json_line(record.values).rstrip(b"\n")
        raw = whole[: len(whole) // 2].decode(errors="ignore").encode() + b"\n"
        if kind == "not JSON":
            raw = b"<html><body>502 Bad Gateway</body></html>\n"
        return replace(record, key=f"{record.key}-bad", broken=kind, stage="load", raw=raw)

    return spoil
