"""Delivered records and the files they travel in; nothing is written without leaving its truth."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

Identifier = tuple[str, str]
"""Kind (crm, email, phone or handle) and the value in its normal form."""


@dataclass(frozen=True)
class Record:
    """One physical record of a file.

    Attributes:
        values: what the system wrote, by its own column names.
        key: the record's id in its system; empty when it has none.
        version: the system's own time of change, comparable as text within a source.
        who: the customer's identifiers on this record, in normal form.
        broken: why the record is useless; empty when it is good.
        stage: where a broken record must be caught, `load` or `staging`.
        raw: the bytes to write instead of the values, for records that are no records.
        deleted: the system marks the record as deleted.
    """

    values: Mapping[str, Any]
    key: str = ""
    version: str = ""
    who: tuple[Identifier, ...] = ()
    broken: str = ""
    stage: str = ""
    raw: bytes | None = None
    deleted: bool = False


@dataclass(frozen=True)
class DeliveredFile:
    """A file in the inbox and its records in physical order.

    `snapshot` names the full export the file is a page of; empty for files that only add.
    """

    source: str
    path: str
    records: tuple[Record, ...]
    n_bytes: int
    snapshot: str = ""


@dataclass
class Delivery:
    """Writes files under a folder and remembers what is in them."""

    target: Path
    files: list[DeliveredFile] = field(default_factory=list)

    def write(
        self,
        source: str,
        path: str,
        records: Iterable[Record],
        encode: Callable[[tuple[Record, ...]], bytes],
        snapshot: str = "",
    ) -> None:
        """Write one file, none without records; `encode` makes bytes of them."""
        kept = tuple(records)
        if not kept:
            return
        content = encode(kept)
        place = self.target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        self.files.append(DeliveredFile(source, path, kept, len(content), snapshot))


def make_room(target: Path, mark: str, folders: tuple[str, ...]) -> None:
    """Take an earlier sample away, told by its mark, so that none of its files stay among ours.

    Raises:
        ValueError: there is a source list, and it is not a sample's.
    """
    if (target / mark).exists():
        for folder in folders:
            shutil.rmtree(target / folder, ignore_errors=True)
    elif (target / "sources.yml").exists():
        raise ValueError(f"{target}: holds a sources.yml that is no sample's; choose a new folder")
    target.mkdir(parents=True, exist_ok=True)


def by_month(
    records: Iterable[Record], moments: Iterable[datetime]
) -> list[tuple[str, list[Record]]]:
    """Group records by the month of their moment, oldest first: `[("2024-01", [...]), ...]`."""
    months: dict[str, list[tuple[datetime, Record]]] = {}
    for record, moment in zip(records, moments, strict=True):
        months.setdefault(f"{moment:%Y-%m}", []).append((moment, record))
    return [
        (month, [record for _, record in sorted(rows, key=lambda row: row[0])])
        for month, rows in sorted(months.items())
    ]


def as_csv(encoding: str = "utf-8") -> Callable[[tuple[Record, ...]], bytes]:
    """Return an encoder for CSV with a header, commas and quotes where needed."""

    def encode(records: tuple[Record, ...]) -> bytes:
        header = list(records[0].values)
        lines = [csv_line(header, encoding)]
        for record in records:
            cells = ["" if value is None else value for value in record.values.values()]
            lines.append(record.raw if record.raw is not None else csv_line(cells, encoding))
        return b"".join(lines)

    return encode


def csv_line(cells: Iterable[Any], encoding: str = "utf-8") -> bytes:
    """Return one line of CSV with its end."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().encode(encoding)


def as_json_lines(records: tuple[Record, ...]) -> bytes:
    """Encode records as JSON lines; empty values are left out, as most APIs do."""
    return b"".join(
        record.raw if record.raw is not None else json_line(record.values) for record in records
    )


def json_line(values: Mapping[str, Any]) -> bytes:
    """Return one JSON object on a line."""
    kept = {name: value for name, value in values.items() if value not in (None, "")}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def as_json_lines_gz(records: tuple[Record, ...]) -> bytes:
    """Encode records as gzipped JSON lines; the header holds no time, so bytes repeat."""
    return gzip.compress(as_json_lines(records), compresslevel=6, mtime=0)


def as_json_page(
    envelope: Callable[[list[Any]], Any],
) -> Callable[[tuple[Record, ...]], bytes]:
    """Return an encoder for one JSON document; `envelope` puts the list in its place."""

    def encode(records: tuple[Record, ...]) -> bytes:
        rows = [dict(record.values) for record in records]
        return json.dumps(envelope(rows), ensure_ascii=False, indent=1).encode() + b"\n"

    return encode


_XLSX_PARTS = {
    "[Content_Types].xml": (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Override PartName="/xl/workbook.xml" ContentType="application/'
        'vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        '<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/'
        'vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
        'relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
        'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
        '<sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
        'relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
    ),
}
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def as_xlsx(records: tuple[Record, ...]) -> bytes:
    """Encode records as a workbook of one sheet of text cells.

    Written by hand because workbook libraries stamp the clock into the file.
    """
    rows = [
        list(records[0].values),
        *(list(record.values.values()) for record in records),
    ]
    body = "".join(_xlsx_row(number, row) for number, row in enumerate(rows, start=1))
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"<sheetData>{body}</sheetData></worksheet>"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as book:
        for name, content in {**_XLSX_PARTS, "xl/worksheets/sheet1.xml": sheet}.items():
            info = zipfile.ZipInfo(name, date_time=(2024, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            book.writestr(info, _XML + content)
    return buffer.getvalue()


def _xlsx_row(number: int, cells: list[Any]) -> str:
    written = "".join(
        f'<c r="{chr(65 + place)}{number}" t="inlineStr"><is><t>{escape(str(cell))}</t></is></c>'
        for place, cell in enumerate(cells)
        if cell not in (None, "")
    )
    return f'<row r="{number}">{written}</row>'
