"""What the cells of an Excel sheet mean: its XML, row by row, as rows of texts.

openpyxl says what a cell means, but is fed row by row: its ready-made loop fills a gap in the row
numbers with as many empty rows, ends at the first bad cell, and makes a date out of range `#VALUE!`.
"""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, iterparse

from defusedxml.ElementTree import iterparse as defused
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import from_excel
from openpyxl.utils.escape import unescape
from openpyxl.worksheet._reader import WorkSheetParser
from openpyxl.xml.constants import SHEET_MAIN_NS

from carelake.warehouse.csv_repair import RAW_TEXT_LIMIT
from carelake.warehouse.incoming import UnreadableFile

MAX_COLUMNS = 16_384
MAX_ELEMENTS = 500_000
"""Of XML in one row: a full one, with a formula in every cell, has a tenth of it."""
EAST_ASIAN_DATES = {*range(27, 37), *range(50, 59)}
"""Formats that Chinese, Japanese and Korean Excel uses without saying what they are."""
ORDINARY = "in an ordinary .xlsx file; Excel can save it anew as one"
NS = f"{{{SHEET_MAIN_NS}}}"
CELL_FAULTS = (ValueError, TypeError, LookupError, AttributeError)


class SharedTexts(list[str]):
    """Texts that cells refer to by number; openpyxl would take -1 for the last one."""

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise LookupError(f"it refers to text {index}, which is not there")
        return super().__getitem__(index)


@dataclass(frozen=True)
class Styles:
    """The cell styles that make a number a moment, or a span of time."""

    dates: frozenset[int] = frozenset()
    spans: frozenset[int] = frozenset()


class Row(NamedTuple):
    """A row that holds something: texts by column, or why it is broken and what stands there."""

    number: int
    cells: dict[int, str]
    fault: str = ""
    shown: str = ""


def elements(archive: zipfile.ZipFile, part: str, *tags: str) -> Iterator[Element]:
    """The elements of a part that have one of the tags, each forgotten after it was given.

    Raises:
        UnreadableFile: it is no such part, or one element would fill the memory.
    """
    with archive.open(part) as file:
        # a few entities can fill a disk; they could only be declared before the first element
        next(defused(file, ("start",), forbid_dtd=True), None)
    wanted = {NS + tag for tag in tags}
    unended: list[Element] = []
    held = depth = 0
    with archive.open(part) as file:
        for event, element in iterparse(file, ("start", "end")):
            if event == "start":
                held += 1
                depth += element.tag in wanted
                if not unended and not element.tag.startswith(NS):
                    raise UnreadableFile(f"cannot be read: {part} is not as {ORDINARY}")
                if held > MAX_ELEMENTS:
                    raise UnreadableFile(f"cannot be read: {part} has too much in one place")
                unended.append(element)
                continue
            unended.pop()
            if element.tag in wanted:
                yield element
                depth -= 1
            if not depth and unended:
                unended[-1].clear()
                held = len(unended)


def shared_texts(archive: zipfile.ZipFile, part: str) -> SharedTexts:
    """The list of texts that cells refer to; openpyxl's own loses what looks like an escape."""
    return SharedTexts(_plain(item) for item in elements(archive, part, "si"))


def _plain(item: Element) -> str:
    """A text without its fonts, and without rPh, which holds how it is pronounced."""
    pieces = [t.text if t.tag == f"{NS}t" else _run(t) for t in item]
    return "".join(piece or "" for piece in pieces)


def _run(piece: Element) -> str | None:
    return piece.findtext(f"{NS}t") if piece.tag == f"{NS}r" else None


def cell_styles(archive: zipfile.ZipFile, part: str) -> Styles:
    """Which styles are dates; fonts and colours, which may be odd, are not looked at."""
    codes: dict[int, str] = dict(BUILTIN_FORMATS) | dict.fromkeys(EAST_ASIAN_DATES, "yyyy-mm-dd")
    styles = Styles()
    for group in elements(archive, part, "numFmts", "cellXfs"):
        if group.tag == f"{NS}numFmts":
            codes |= {int(code.get("numFmtId", 0)): code.get("formatCode", "") for code in group}
            continue
        used = [codes.get(int(style.get("numFmtId", 0))) for style in group]
        styles = Styles(
            frozenset(i for i, code in enumerate(used) if is_date_format(code)),
            frozenset(i for i, code in enumerate(used) if is_timedelta_format(code)),
        )
    return styles


def rows(
    archive: zipfile.ZipFile, part: str, epoch: dt.datetime, texts: SharedTexts, styles: Styles
) -> Iterator[Row]:
    """The rows of a sheet, in order, without the empty ones."""
    parser = WorkSheetParser(None, texts, data_only=True)
    number = 0
    for row in elements(archive, part, "row"):
        given = row.get("r", "")
        number = int(given) if given.isdecimal() and len(given) < 9 else number + 1
        parser.row_counter, parser.col_counter = number, 0
        cells: dict[int, str] = {}
        try:
            for element in row:
                column, value, style = _cell(parser, element)
                text = _text(value, style, styles, epoch)
                if text.strip():
                    cells[column] = text
        except CELL_FAULTS as fault:
            shown = ", ".join(filter(None, map(str.strip, row.itertext())))
            yield Row(number, {}, f"has a cell that is none: {fault}", shown[:RAW_TEXT_LIMIT])
            continue
        if cells:
            yield Row(number, cells)


def _cell(parser: Any, element: Element) -> tuple[int, Any, int]:
    kind = element.get("t")
    if kind == "d":
        # a moment as text; openpyxl would cut it to milliseconds, without its zone
        element.set("t", "str")
    elif kind == "inlineStr" and (inline := element.find(f"{NS}is")) is not None:
        # an odd font would fail openpyxl
        element.set("t", "str")
        value = Element(f"{NS}v")
        value.text = _plain(inline)
        element[:] = [value]
    cell = parser.parse_cell(element)
    column = cell["column"] - 1
    place = element.get("r", "")[:20]
    if not 0 <= column < MAX_COLUMNS:
        raise ValueError(f"'{place}' is no place in a sheet")
    if cell["value"] is None and any(
        # a formula without its result is an empty cell
        child.tag != f"{NS}f" and "".join(child.itertext()).strip()
        for child in element
    ):
        raise ValueError(f"'{place}' holds what is no value")
    return column, cell["value"], cell["style_id"]


def _text(value: Any, style: int, styles: Styles, epoch: dt.datetime) -> str:
    """A cell's value: whole numbers with all their digits, dates in ISO form."""
    if value is None:
        return ""
    if isinstance(value, str):
        # half of a surrogate pair is no text
        text: str = unescape(value)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "")
    if isinstance(value, bool):
        return "true" if value else "false"
    if style in styles.dates and value >= 0:
        try:
            return _moment(from_excel(value, epoch, timedelta=style in styles.spans))
        except (OverflowError, ValueError):
            pass  # after the year 9999: no date, so it stays the number it is
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _moment(value: dt.datetime | dt.time | dt.timedelta) -> str:
    if isinstance(value, dt.timedelta):
        seconds = value.days * 86_400 + value.seconds
        rest = f".{value.microseconds:06}" if value.microseconds else ""
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{rest}"
    if isinstance(value, dt.time):
        return value.isoformat()
    return value.date().isoformat() if value.time() == dt.time(0) else value.isoformat(sep=" ")
