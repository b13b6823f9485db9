"""Excel files (.xlsx): one sheet as a table of texts, with nothing lost and no bomb."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
from defusedxml import DefusedXmlException
from openpyxl.reader.excel import ExcelReader
from openpyxl.xml.constants import ARC_WORKBOOK, SHARED_STRINGS, STYLES_TYPE, XLSM, XLSX, XLTM, XLTX

from carelake.warehouse.arrow_columns import integers, strings
from carelake.warehouse.excel_cells import (
    ORDINARY,
    Row,
    SharedTexts,
    Styles,
    cell_styles,
    rows,
    shared_texts,
)
from carelake.warehouse.incoming import Reject, UnreadableFile, unique_names
from carelake.warehouse.packed import too_large

MAX_SHARED_BYTES = 500_000_000
"""The list of shared texts is held in memory."""
MAX_SMALL_BYTES = 10_000_000
"""What lists the parts of a file is held in memory as a tree."""
ROWS_AT_ONCE = 50_000


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
        with path.open("rb") as file:
            return _read_book(file, sheet, max_bytes, header=header)
    except (UnreadableFile, MemoryError):
        raise
    except DefusedXmlException as error:
        said = "it declares a document type or entities, which Excel never does"
        raise UnreadableFile(f"cannot be read: {said}") from error
    except Exception as error:  # a part that is not what it should be fails openpyxl anywhere
        said = str(error) or type(error).__name__
        raise UnreadableFile(f"cannot be read as an Excel file: {said}") from error


def _read_book(
    file: BinaryIO, sheet: str | None, max_bytes: int, *, header: bool
) -> tuple[pa.Table, list[str], list[Reject]]:
    book = ExcelReader(file, read_only=True, data_only=True, keep_links=False)
    with book.archive as archive:
        _require_small(archive, max_bytes)
        book.read_manifest()
        for kind in (XLSX, XLSM, XLTX, XLTM):
            _require_at_most(archive, _part(book, kind), MAX_SMALL_BYTES)
        book.read_workbook()
        place = _place(book, sheet)
        texts, styles = _part(book, SHARED_STRINGS), _part(book, STYLES_TYPE)
        _require_at_most(archive, texts, MAX_SHARED_BYTES)
        found = rows(
            archive,
            place,
            book.wb.epoch,
            shared_texts(archive, texts) if texts else SharedTexts(),
            cell_styles(archive, styles) if styles else Styles(),
        )
        return _read_rows(found, header=header)


def _require_small(archive: zipfile.ZipFile, max_bytes: int) -> None:
    # zipfile unpacks no more of a part than its entry says
    parts = archive.infolist()
    if sum(part.file_size for part in parts) > max_bytes:
        raise UnreadableFile(too_large(max_bytes))
    for part in parts:
        if part.filename.endswith((".rels", "[Content_Types].xml", ARC_WORKBOOK)):
            _require_at_most(archive, part.filename, MAX_SMALL_BYTES)


def _require_at_most(archive: zipfile.ZipFile, part: str | None, limit: int) -> None:
    if part is not None and archive.getinfo(part).file_size > limit:
        raise UnreadableFile(f"cannot be read: {part} has more than {limit:,} bytes")


def _place(book: Any, name: str | None) -> str:
    """Which part of the file holds the sheet."""
    for sheet in book.parser.sheets:
        if not sheet.id:  # openpyxl would go on with the next one
            raise UnreadableFile(f"cannot be read: sheet '{sheet.name}' is not as {ORDINARY}")
    places: dict[str, str] = {}
    for sheet, link in book.parser.find_sheets():
        if link.Type.endswith("/worksheet"):
            places.setdefault(sheet.name, link.target)
    if not places or (name is not None and name not in places):
        known = ", ".join(places) or "none"
        raise UnreadableFile(f"cannot be read: it has no sheet '{name or ''}'; there are: {known}")
    return places[name] if name is not None else next(iter(places.values()))


def _part(book: Any, kind: str) -> str | None:
    listed = book.package.find(kind)
    return listed.PartName.lstrip("/") if listed else None


def _read_rows(found: Iterator[Row], *, header: bool) -> tuple[pa.Table, list[str], list[Reject]]:
    names: list[str] = []
    if header:
        first = next(found, Row(0, {}))
        if first.fault:
            raise UnreadableFile(f"cannot be read: its first row {first.fault}")
        names = [first.cells.get(i, "") for i in range(max(first.cells, default=-1) + 1)]
    rejects: list[Reject] = []
    tables: list[pa.Table] = []
    pending: list[tuple[int, dict[int, str]]] = []
    width = 0
    for ordinal, row in enumerate(found, start=1):
        if row.fault:
            rejects.append(Reject(ordinal, row.number, row.fault, row.shown))
            continue
        width = max(width, max(row.cells) + 1)
        pending.append((ordinal, row.cells))
        if len(pending) >= ROWS_AT_ONCE:
            tables.append(_table(pending, width))
            pending = []
    tables.append(_table(pending, width))
    return _named(pa.concat_tables(tables, promote_options="default"), names, rejects)


def _table(pending: list[tuple[int, dict[int, str]]], width: int) -> pa.Table:
    columns: dict[str, Any] = {"__row": integers(n for n, _ in pending)}
    for i in range(width):
        columns[f"c{i}"] = strings(cells.get(i) for _, cells in pending)
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
        column = table.column(i + 1) if i + 1 < table.num_columns else None
        if not given[i].strip() and (column is None or column.null_count == len(column)):
            continue
        kept[f"c{len(names)}"] = (
            column if column is not None else pa.nulls(table.num_rows, pa.string())
        )
        names.append(name)
    return pa.table(kept), names, rejects
