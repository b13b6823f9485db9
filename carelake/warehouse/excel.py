"""Excel files (.xlsx) cell by cell: every row, every digit, every date, and no bomb.

DuckDB's own reader stops at the first empty row, decides a column's type by its first cell, rounds
whole numbers beyond 2^53 and drops cells right of the header; so the file is read here. That takes
its time (100,000 rows of 8 cells: 14 s of a busy core), but a sheet ends at a million rows.
"""

from __future__ import annotations

import datetime as dt
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

import pyarrow as pa

from carelake.warehouse.csv_repair import RAW_TEXT_LIMIT
from carelake.warehouse.incoming import Reject, UnreadableFile, unique_names
from carelake.warehouse.packed import too_large

CHUNK = 8 << 20
MAX_COLUMNS = 16_384
MAX_SHARED_BYTES = 500_000_000
"""The list of shared texts is held in memory."""
ROWS_AT_ONCE = 50_000
CLOCK_FORMATS = {18, 19, 20, 21, 45, 46, 47}
DATE_FORMATS = {14, 15, 16, 17, 22, *range(27, 37), *range(50, 59)} | CLOCK_FORMATS
ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
REFERENCE = re.compile(r"([A-Za-z]{1,3})\d*")
FAULTS = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError)


@dataclass
class _Book:
    """What the cells of a sheet refer to."""

    sheet: str
    texts: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    """Per cell style: 'date', 'clock' (a time of day) or ''."""
    shift: int = 0
    """Days that the file's calendar begins later than Excel's usual one."""


def read_excel(
    path: Path, *, sheet: str | None, header: bool, max_bytes: int
) -> tuple[pa.Table, list[str], list[Reject]]:
    """Read one sheet; rows without any text are no records.

    Args:
        sheet: its name; the first one without.
        max_bytes: the file may unpack to as much.

    Returns:
        A table of texts (`__row`, then `c0`, `c1`, ...), the columns' names, and the broken rows.

    Raises:
        UnreadableFile: it is no Excel file, is cut, or is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _require_small(archive, max_bytes)
            return _read_sheet(archive, _open_book(archive, sheet), header=header)
    except FAULTS as error:
        raise UnreadableFile(f"cannot be read as an Excel file: {error}") from error
    except (expat.ExpatError, ValueError, KeyError, IndexError) as error:
        raise UnreadableFile(f"cannot be read as an Excel file: {error}") from error


def _require_small(archive: zipfile.ZipFile, max_bytes: int) -> None:
    # zipfile unpacks no more of a part than its entry says
    parts = archive.infolist()
    if sum(part.file_size for part in parts) > max_bytes:
        raise UnreadableFile(too_large(max_bytes))
    shared = sum(part.file_size for part in parts if part.filename.endswith("haredStrings.xml"))
    if shared > MAX_SHARED_BYTES:
        raise UnreadableFile(f"cannot be read: more than {MAX_SHARED_BYTES:,} bytes of texts")


class _Part:
    """Walks through one XML part; entities are refused, for a few of them can fill a disk."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator="}")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _refuse(self, *_: object) -> None:
        raise UnreadableFile("cannot be read: it declares a document type, which Excel never does")

    def parse(
        self,
        archive: zipfile.ZipFile,
        name: str,
        start: Callable[[str, dict[str, str]], None],
        end: Callable[[str], None] | None = None,
        text: Callable[[str], None] | None = None,
    ) -> Iterator[None]:
        """Call back per tag and text; pauses between chunks."""

        def local(handler: Callable[..., None]) -> Callable[..., None]:
            return lambda tag, *rest: handler(tag.rpartition("}")[2], *rest)

        self.parser.StartElementHandler = local(start)
        self.parser.EndElementHandler = local(end) if end else None
        self.parser.CharacterDataHandler = text
        with archive.open(name) as part:
            while chunk := part.read(CHUNK):
                self.parser.Parse(chunk, False)
                yield
        self.parser.Parse(b"", True)
        yield


def _scan(
    archive: zipfile.ZipFile, name: str, start: Callable[[str, dict[str, str]], None]
) -> None:
    for _ in _Part().parse(archive, name, start):
        pass


def _open_book(archive: zipfile.ZipFile, sheet: str | None) -> _Book:
    sheets: dict[str, str] = {}
    targets: dict[str, str] = {}
    calendar: dict[str, str] = {}

    def in_workbook(tag: str, attributes: dict[str, str]) -> None:
        if tag == "sheet":
            link = next((v for k, v in attributes.items() if k.endswith("}id")), "")
            sheets[attributes.get("name", "")] = link
        elif tag == "workbookPr":
            calendar.update(attributes)

    def in_links(tag: str, attributes: dict[str, str]) -> None:
        if tag == "Relationship":
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    _scan(archive, "xl/workbook.xml", in_workbook)
    _scan(archive, "xl/_rels/workbook.xml.rels", in_links)
    if not sheets or (sheet is not None and sheet not in sheets):
        known = ", ".join(sheets) or "none"
        raise UnreadableFile(f"cannot be read: it has no sheet '{sheet or ''}'; there are: {known}")
    target = targets[sheets[sheet] if sheet is not None else next(iter(sheets.values()))]
    # a name inside the archive: nothing outside can be named
    place = posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")
    book = _Book(place, shift=1462 if calendar.get("date1904") in ("1", "true") else 0)
    names = {name.lower(): name for name in archive.namelist()}
    if "xl/sharedstrings.xml" in names:
        book.texts = _shared_texts(archive, names["xl/sharedstrings.xml"])
    if "xl/styles.xml" in names:
        book.formats = _cell_formats(archive, names["xl/styles.xml"])
    return book


def _shared_texts(archive: zipfile.ZipFile, name: str) -> list[str]:
    texts: list[str] = []
    pieces: list[str] = []
    inside: list[str] = []

    def start(tag: str, _: dict[str, str]) -> None:
        if tag == "si":
            pieces.clear()
        inside.append(tag)

    def end(tag: str) -> None:
        inside.pop()
        if tag == "si":
            texts.append(_unescape("".join(pieces)))

    def text(data: str) -> None:
        # rPh holds how a text is pronounced
        if inside and inside[-1] == "t" and "rPh" not in inside[-3:]:
            pieces.append(data)

    for _ in _Part().parse(archive, name, start, end, text):
        pass
    return texts


def _unescape(text: str) -> str:
    """Control characters, which Excel writes as _x000D_; half a surrogate pair is no text."""
    if "_x" not in text:
        return text
    text = ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "")


def _cell_formats(archive: zipfile.ZipFile, name: str) -> list[str]:
    own: dict[str, str] = {}
    formats: list[str] = []
    inside = [""]

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "numFmt":
            own[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
        elif tag in ("cellXfs", "cellStyleXfs", "dxfs"):
            inside[0] = tag
        elif tag == "xf" and inside[0] == "cellXfs":
            number = attributes.get("numFmtId", "0")
            formats.append(_meaning(number, own.get(number)))

    _scan(archive, name, start)
    return formats


def _meaning(number: str, code: str | None) -> str:
    if code is None:
        known = int(number) if number.isdecimal() and len(number) < 6 else 0
        return "" if known not in DATE_FORMATS else "clock" if known in CLOCK_FORMATS else "date"
    bare = re.sub(r'"[^"]*"|\\.|_.', "", code).lower()
    if re.search(r"\[(h+|m+|s+)\]", bare):
        return "clock"
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    if "general" in bare or not re.search(r"[ymdhs年月日]", bare):
        return ""
    return "clock" if re.search("[hs]", bare) and not re.search("[yd年日]", bare) else "date"


class _Rows:
    """Collects the cells of a sheet into rows; `done` holds those that are complete."""

    def __init__(self, book: _Book) -> None:
        self.done: list[tuple[int, dict[int, str], str | None]] = []
        self._book = book
        self._number = 0
        self._cells: dict[int, str] = {}
        self._fault: str | None = None
        self._column = -1
        self._cell: dict[str, str] = {}
        self._pieces: list[str] = []
        self._tags: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._tags.append(tag)
        if tag == "row":
            self._number += 1
            given = attributes.get("r", "")
            if given.isdecimal() and len(given) < 9:
                self._number = int(given)
            self._cells, self._fault, self._column = {}, None, -1
        elif tag == "c":
            self._cell, self._pieces = attributes, []
            self._column = self._place(attributes.get("r"))

    def end(self, tag: str) -> None:
        self._tags.pop()
        if tag == "c" and self._pieces:
            value = self._value("".join(self._pieces))
            if value.strip() and 0 <= self._column < MAX_COLUMNS:
                self._cells[self._column] = value
        elif tag == "row" and (self._cells or self._fault):
            self.done.append((self._number, self._cells, self._fault))

    def text(self, data: str) -> None:
        if self._tags and self._tags[-1] in ("v", "t") and "rPh" not in self._tags[-3:]:
            self._pieces.append(data)

    def _place(self, reference: str | None) -> int:
        if reference is None:
            return self._column + 1
        match = REFERENCE.fullmatch(reference)
        place = 0
        for letter in match[1].upper() if match else "":
            place = place * 26 + ord(letter) - 64
        if not 1 <= place <= MAX_COLUMNS:
            self._fault = f"has a cell at '{reference[:20]}', which is no place in a sheet"
        return place - 1

    def _value(self, text: str) -> str:
        kind = self._cell.get("t", "n")
        if kind == "s":
            if not text.strip().isdecimal() or int(text) >= len(self._book.texts):
                self._fault = f"refers to text {text[:20]}, which is not there"
                return ""
            return self._book.texts[int(text)]
        if kind == "b":
            return "true" if text.strip() == "1" else "false"
        if kind != "n":
            return _unescape(text)
        style = self._cell.get("s", "0")
        number = int(style) if style.isdecimal() and len(style) < 9 else 0
        meaning = self._book.formats[number] if number < len(self._book.formats) else ""
        return number_text(text.strip(), meaning, self._book.shift)


def number_text(text: str, meaning: str = "", shift: int = 0) -> str:
    """A number cell as text: whole numbers with all their digits, dates in ISO form.

    Args:
        meaning: 'date', 'clock' or nothing, from the cell's style.
        shift: days to add to a date.
    """
    try:
        value = float(text)
    except ValueError:
        return text
    if meaning == "clock" and 0 <= value < 1_000_000:
        seconds = round(value * 86_400)
        if value < 1 or shift == 0:
            return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if meaning and 1 <= value + shift < 2_958_466:
        days = value + shift
        # Excel's calendar has a 29 February 1900, which never was
        start = dt.datetime(1899, 12, 30) if days >= 61 else dt.datetime(1899, 12, 31)
        moment = start + dt.timedelta(milliseconds=round(days * 86_400_000))
        whole = moment.time() == dt.time(0)
        return moment.date().isoformat() if whole else moment.isoformat(sep=" ")
    if re.fullmatch(r"-?\d{1,40}", text):
        return text
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _read_sheet(
    archive: zipfile.ZipFile, book: _Book, *, header: bool
) -> tuple[pa.Table, list[str], list[Reject]]:
    rows, part = _Rows(book), _Part()
    names: list[str] | None = None if header else []
    tables: list[pa.Table] = []
    rejects: list[Reject] = []
    ordinal = width = 0
    pending: list[tuple[int, dict[int, str]]] = []
    for _ in part.parse(archive, book.sheet, rows.start, rows.end, rows.text):
        for number, cells, fault in rows.done:
            if names is None:
                if fault:
                    raise UnreadableFile(f"cannot be read: its first row {fault}")
                names = [cells.get(i, "") for i in range(max(cells) + 1)]
                continue
            ordinal += 1
            if fault:
                shown = ", ".join(cells.values())[:RAW_TEXT_LIMIT]
                rejects.append(Reject(ordinal, number, fault, shown))
                continue
            width = max(width, max(cells) + 1)
            pending.append((ordinal, cells))
            if len(pending) >= ROWS_AT_ONCE:
                tables.append(_table(pending, width))
                pending = []
        rows.done.clear()
    tables.append(_table(pending, width))
    whole = pa.concat_tables(tables, promote_options="default")
    return _named(whole, names or [], rejects)


def _table(pending: list[tuple[int, dict[int, str]]], width: int) -> pa.Table:
    columns: dict[str, Any] = {"__row": pa.array([n for n, _ in pending], pa.int64())}
    for i in range(width):
        columns[f"c{i}"] = pa.array([cells.get(i) for _, cells in pending], pa.string())
    return pa.table(columns)


def _named(
    table: pa.Table, given: list[str], rejects: list[Reject]
) -> tuple[pa.Table, list[str], list[Reject]]:
    """Names for all columns; one without a name and without a text is none."""
    width = max(len(given), table.num_columns - 1)
    given = [*given, *[""] * (width - len(given))]
    kept: dict[str, Any] = {"__row": table["__row"]}
    names: list[str] = []
    for i, name in enumerate(unique_names(given)):
        place = f"c{i}"
        column = table[place] if place in table.column_names else None
        if not given[i].strip() and (column is None or column.null_count == len(column)):
            continue
        kept[f"c{len(names)}"] = (
            column if column is not None else pa.nulls(table.num_rows, pa.string())
        )
        names.append(name)
    return pa.table(kept), names, rejects
