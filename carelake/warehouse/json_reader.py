"""JSON lines and JSON documents as relations: one record per row, its members as texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa

from carelake.source import Source
from carelake.source_parts import Part
from carelake.warehouse.connection import ident, literal
from carelake.warehouse.csv_repair import RAW_TEXT_LIMIT, UNREADABLE
from carelake.warehouse.incoming import Incoming, NeedsCare, Reject, UnreadableFile, pointer
from carelake.warehouse.json_repair import MARK, mend_document, mend_text, repair_lines
from carelake.warehouse.staging import Staging, buffer_size

MAX_JSON_BYTES = 1_000_000_000
PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Keys that a path may name as they are."""
SIMPLE_KEY = re.compile(r"[^\x00\"\\\\]+")
"""Keys that may name the member of a struct."""


class JsonReader:
    """Reads the JSON files of one source.

    Args:
        scratch: an empty folder for files that live as long as the load.
    """

    def __init__(self, staging: Staging, source: Source, scratch: Path) -> None:
        self.staging = staging
        self.source = source
        self.scratch = scratch

    def lines(self, path: Path) -> Incoming:
        """Read a file of one record per line.

        Raises:
            NeedsCare: it has bytes that are no text, or lines that are too long.
        """
        try:
            self._stage_lines(path)
        except duckdb.Error as error:
            raise NeedsCare from error
        return self._records()

    def careful_lines(self, path: Path) -> Incoming:
        """Read a file with bytes that are no text, or lines that are too long."""
        clean = self.scratch / (path.name + ".clean.jsonl")
        try:
            rejects = repair_lines(path, clean, self.source.max_line_bytes)
        except UNREADABLE as error:
            raise UnreadableFile(f"cannot be read to its end: {error}") from error
        self._stage_lines(clean)
        incoming = self._records()
        both = [*incoming.rejects, *rejects]
        incoming.rejects = sorted(both, key=lambda reject: reject.row_number or 0)
        return incoming

    def _stage_lines(self, path: Path) -> None:
        self.staging.stage(
            f"""
            select line as __json from read_csv(
                {literal(str(path))}, auto_detect = false, header = false,
                columns = {{'line': 'varchar'}}, delim = '\x1f', quote = '', escape = '',
                max_line_size = {self.source.max_line_bytes}, buffer_size = {buffer_size(self.source)})
            """
        )

    def document(self, path: Path) -> Incoming:
        """Read a file that is one JSON document.

        Raises:
            NeedsCare: it has bytes that are no text.
        """
        try:
            self._stage_documents(path)
        except duckdb.Error as error:
            raise NeedsCare from error
        return self._records()

    def careful_document(self, path: Path) -> Incoming:
        """Read a document with bytes that are no text."""
        try:
            mended = mend_document(path, self.scratch / (path.name + ".mended"), MAX_JSON_BYTES)
        except UNREADABLE as error:
            raise UnreadableFile(f"cannot be read to its end: {error}") from error
        self._stage_documents(mended or path)
        return self._records(f"or contains(__json, {literal(MARK)})")

    def _stage_documents(self, path: Path) -> None:
        parts = [part for part in (self.source.records_path or "").split(".") if part]
        place = literal(pointer(parts))
        documents = f"""read_json_objects({literal(str(path))},
            format = 'unstructured', maximum_object_size = {MAX_JSON_BYTES})"""
        page, staged_page = "", ""
        if isinstance(self.source, Part) and self.source.beside:
            documents = f"(select json, row_number() over () as page from {documents})"
            page, staged_page = "page, ", ", page as __page"
            self._stage_pages(documents, self.source.beside)
        self.staging.stage(
            f"""
            select record::varchar as __json{staged_page} from (
                select {page}unnest(case
                    when len(elements) > 0 then elements
                    when json_type(json, {place}) = 'ARRAY' or {self._is_empty(place)} then []
                    else [json_extract(json, {place})] end) as record
                from (select *, {_elements(parts)} as elements from {documents}))
            """
        )
        if parts:
            gone = f"update {self.staging.records} set __json = 'null' where __json is null"
            self.staging.con.execute(gone)

    def _stage_pages(self, documents: str, beside: tuple[str, ...]) -> None:
        """Keep what a shape reads of each page, once a page: records name their page by its number."""
        members = ", ".join(
            f"{literal(path)}, json_extract(json, {literal(pointer(path.split('.')))})"
            for path in beside
        )
        self.staging.con.execute(
            f"create or replace temp table {self.staging.pages} as "
            f"select page as page_number, json_object({members}) as page from {documents}"
        )

    def _is_empty(self, place: str) -> str:
        """SQL of whether a document says that it has no records, and has none."""
        path = self.source.rest.empty if self.source.rest else None
        if path is None:
            return "false"
        number = literal(pointer(path.split(".")))
        return f"json_extract_string(json, {number}) = '0' and json_extract(json, {place}) is null"

    def _records(self, or_broken: str = "") -> Incoming:
        """The staged rows that are JSON objects; the others are rejects.

        Args:
            or_broken: SQL of one more condition that makes a record broken.
        """
        rejects: list[Reject] = []
        if or_broken or not self._all_sound():
            rejects = self._take_out_broken(or_broken)
            self._note_shapes()
        keys = self.staging.con.execute(
            f"select distinct unnest(keys) as key from {self._shapes} order by key"
        ).fetchall()
        columns, shape = self._members(key for (key,) in keys)
        # the members asked for are taken out of a record in one pass over its text
        parsed = f"from_json(__json, {literal(json.dumps(shape))})" if shape else "null"
        return Incoming(
            f"(select *, {parsed} as __record from {self.staging.staged()})",
            columns,
            "__row",
            rejects,
            json_record="__json",
        )

    @property
    def _shapes(self) -> str:
        return f"{self.staging.name}_shapes"

    def _note_shapes(self) -> None:
        """Keep the different lists of keys of the staged records; NULL stands for what is no JSON."""
        self.staging.con.execute(
            f"create or replace temp table {self._shapes} as select distinct "
            f"case when json_valid(__json) then json_keys(__json) end as keys from {self.staging.records}"
        )

    def _all_sound(self) -> bool:
        """Whether every staged record is an object with members: most files, in one pass."""
        self._note_shapes()
        found = self.staging.con.execute(
            f"select exists(from {self._shapes} where keys is null or keys = [])"
        ).fetchone()
        return not (found and found[0])

    def _take_out_broken(self, or_broken: str) -> list[Reject]:
        """Delete blank and broken records; gives the broken ones."""
        records = self.staging.records
        blank = r"(not starts_with(__json, '{') and trim(__json, e' \t\r') = '' or __json is null)"
        # a CASE: the sides of an OR are taken in any order, and json_type fails on what is no JSON
        kind = "case when json_valid(__json) then json_type(__json) else 'NONE' end"
        broken = f"({kind}) <> 'OBJECT' {or_broken}"
        self.staging.con.execute(f"delete from {records} where {blank}")
        self.staging.con.execute(
            f"""
            create or replace temp table {self.staging.name}_broken as
            select rowid - {self.staging.first_row} + 1 as row_number, __json, json_valid(__json) as is_json
            from {records} where {broken}
            """
        )
        rejects = self._broken()
        if rejects:
            self.staging.con.execute(f"delete from {records} where {broken}")
        return rejects

    def _broken(self) -> list[Reject]:
        """Rejects among the staged records; half a surrogate pair is mended, not rejected."""
        found = self.staging.con.execute(
            f"select row_number, __json, is_json from {self.staging.name}_broken order by row_number"
        ).fetchall()
        mended = {row: mend_text(text) for row, text, is_json in found if not is_json}
        mended = {row: text for row, text in mended.items() if text is not None}
        if mended:
            texts = pa.table({"n": list(mended), "t": list(mended.values())})
            self.staging.keep(f"{self.staging.name}_mended", texts)
            self.staging.con.execute(
                f"update {self.staging.records} set __json = t from {self.staging.name}_mended "
                f"where {self.staging.records}.rowid = n + {self.staging.first_row} - 1 and json_valid(t)"
            )
            sound = f"select n from {self.staging.name}_mended "
            sound += "where case when json_valid(t) then json_type(t) end = 'OBJECT'"
            saved = {row for (row,) in self.staging.con.execute(sound).fetchall()}
            mended = {row: text for row, text in mended.items() if row in saved}
        return [
            Reject(
                row, row, _json_fault(text, is_json), text[:RAW_TEXT_LIMIT].replace(MARK, "\ufffd")
            )
            for row, text, is_json in found
            if row not in mended
        ]

    def _members(self, keys: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Expression of every member of the records, and the shape of those that are parsed.

        Only what the mapping may ask for is parsed; two names that differ in case only are not,
        as the members of a struct cannot be told apart by case.
        """
        asked = {name.strip().lower() for name in self.source.columns.values()}
        asked |= {attribute.name.strip().lower() for attribute in self.source.attributes}
        columns: dict[str, str] = {}
        shape: dict[str, str] = {}
        for key in keys:
            folded = key.strip().lower()
            if folded in asked and SIMPLE_KEY.fullmatch(key):
                asked.discard(folded)
                shape[key] = "VARCHAR"
                columns[key] = f"__record.{ident(key)}"
            else:
                place = literal(pointer([key])) if "\0" not in key else "null"
                columns[key] = f"json_extract_string(__json, {place})"
        return columns, shape


def _elements(parts: list[str]) -> str:
    """SQL of a list's elements, none where there is no list: a path finds them in one pass over the document."""
    if all(PLAIN_KEY.fullmatch(part) for part in parts):
        return f"json_extract(json, {literal('$' + ''.join(f'.{part}' for part in parts) + '[*]')})"
    # a pointer can name any key there is
    place = literal(pointer(parts))
    listed = f"json_extract(json_extract(json, {place}), '$[*]')"
    return f"case when json_type(json, {place}) = 'ARRAY' then {listed} else [] end"


def _json_fault(text: str, is_json: bool) -> str:
    if MARK in text:
        return "is not valid text in the file's encoding"
    return "is JSON, but no object" if is_json else "is not valid JSON"
