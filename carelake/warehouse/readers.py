"""One reader per file format: each makes a landed file a relation of texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa

from carelake.source_list import Source
from carelake.warehouse.connection import first_line, ident, literal
from carelake.warehouse.csv_repair import (
    RAW_TEXT_LIMIT,
    UNREADABLE,
    Dialect,
    Head,
    look_at,
    may_be_endless,
    repair,
    shifts,
)
from carelake.warehouse.emails import read_mbox
from carelake.warehouse.excel import read_excel
from carelake.warehouse.incoming import (
    Incoming,
    NeedsCare,
    Reject,
    UnreadableFile,
    pointer,
    unique_names,
)
from carelake.warehouse.json_repair import MARK, mend_document, mend_text, repair_lines
from carelake.warehouse.packed import require_sound, to_utf8

MAX_JSON_BYTES = 1_000_000_000
SIMPLE_KEY = re.compile(r"[^\x00\"\\\\]+")
"""Keys that may name the member of a struct."""
UTF8 = {"utf-8", "utf8", "utf-8-sig", "ascii", "us-ascii"}


class Reader:
    """Reads the landed files of one source.

    Args:
        con: the warehouse; temporary tables are made on it.
        scratch: an empty folder for files that live as long as the load.
        dialect: the source's CSV dialect when it was found by an earlier load.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        source: Source,
        scratch: Path,
        dialect: Dialect | None = None,
    ) -> None:
        self.con = con
        self.source = source
        self.scratch = scratch
        self.dialect = dialect
        self._first_row = 0
        self._n_files = 0

    @property
    def _table(self) -> str:
        """What the names of the temporary tables of the file at hand begin with."""
        return f"carelake_{self._n_files}"

    def forget(self) -> None:
        """Drop the temporary tables of all files."""
        held = self.con.execute(
            "select table_name from duckdb_tables() where temporary and starts_with(table_name, 'carelake_')"
        ).fetchall()
        for (name,) in held:
            self.con.execute(f"drop table {ident(name)}")
        self._n_files = 0

    def read(self, path: Path, *, careful: bool = False) -> Incoming:
        """Open one landed file.

        Args:
            careful: read CSV and JSON lines line by line, because the fast way met a fault.

        Raises:
            NeedsCare: the fast way met a fault.
            UnreadableFile: nothing of it can be read.
        """
        self._n_files += 1
        limit = self.source.max_expanded
        require_sound(path, limit)
        if self.source.kind == "mbox":
            return self._mbox(path)
        readers = {
            "csv": self._careful_csv if careful else self._csv,
            "jsonl": self._careful_jsonl if careful else self._jsonl,
            "json": self._careful_json if careful else self._json,
            "parquet": self._parquet,
            "xlsx": self._xlsx,
        }
        try:
            return readers[self.source.format or ""](self._as_utf8(path))
        except duckdb.Error as error:
            raise UnreadableFile(first_line(error)) from error

    def _as_utf8(self, path: Path) -> Path:
        text = self.source.format in ("csv", "jsonl", "json")
        if not text or self.source.encoding.lower().replace("_", "-") in UTF8:
            return path
        return to_utf8(path, self.source.encoding, self.scratch / (path.stem + ".utf8"))

    # -- csv ---------------------------------------------------------------------------------
    def _csv(self, path: Path) -> Incoming:
        head = self._look_at(path)
        if not head.first:
            return _nothing()
        is_packed = path.suffix in (".gz", ".zst")
        if not head.is_plain or (
            not is_packed and may_be_endless(path, head, self.source.max_line_bytes)
        ):
            return self._careful_csv(path)
        columns = self._columns(head)
        self.con.execute("drop table if exists reject_errors; drop table if exists reject_scans")
        try:
            # one thread drops no record that is longer than a buffer; packed files get no more
            more = ", parallel = false" if is_packed else ""
            rejecting = ", store_rejects = true, rejects_limit = 0" + more
            self._stage_csv(path, columns, head.dialect, rejecting)
        except duckdb.Error as error:
            raise NeedsCare from error
        nul = " or ".join(f"contains({place}, chr(0))" for place in columns.values())
        faulty = self.con.execute(
            f"select exists(from reject_errors) or exists(from {self._table}_records where {nul})"
        ).fetchone()
        if faulty and faulty[0]:
            return self._careful_csv(path)
        return Incoming(self._staged(), columns, "__row")

    def _careful_csv(self, path: Path) -> Incoming:
        head = self._look_at(path)
        if not head.first:
            return _nothing()
        columns = self._columns(head)
        clean = self.scratch / (path.name + ".clean.csv")
        rejects = repair(
            path,
            clean,
            head.n_columns,
            head.dialect,
            header=self.source.header,
            max_line_bytes=self.source.max_line_bytes,
        )
        # the ends of the copy are known; found by the reader, one within quotes may mislead it
        self._stage_csv(clean, columns, head.dialect, ", new_line = '\\n'")
        relation, row = self._staged(), "__row"
        steps = shifts(rejects)
        if steps:
            table = pa.table({"start": [s for s, _ in steps], "shift": [n for _, n in steps]})
            self._temporary(f"{self._table}_shifts", table)
            relation = f"""(
                select r.*, r.__row + coalesce(s.shift, 0) as __physical
                from {relation} as r asof left join {self._table}_shifts as s on r.__row >= s.start)"""
            row = "__physical"
        return Incoming(relation, columns, row, rejects)

    def _stage_csv(self, path: Path, columns: dict[str, str], dialect: Dialect, more: str) -> None:
        fields = ", ".join(f"{place}: 'varchar'" for place in columns.values())
        self._stage(
            f"""
            from read_csv(
                {literal(str(path))}, auto_detect = false, header = {self.source.header},
                columns = {{{fields}}}, delim = {literal(dialect.delimiter)},
                quote = {literal(dialect.quote)}, escape = {literal(dialect.quote)},
                strict_mode = true, max_line_size = {self.source.max_line_bytes},
                buffer_size = {self._buffer}{more})
            """
        )

    def _look_at(self, path: Path) -> Head:
        quote, given = self.source.quote or '"', self.dialect
        if self.source.delimiter:
            given = Dialect(self.source.delimiter, quote)
        limit = self.source.max_line_bytes
        head = look_at(path, given, quote, limit, header=self.source.header)
        if head.n_columns > 1:
            # a file without a single delimiter says nothing about the next ones
            self.dialect = head.dialect
        return head

    def _columns(self, head: Head) -> dict[str, str]:
        """Their names, with the places they are staged at: names of strangers are no SQL."""
        names = head.first if self.source.header else [""] * head.n_columns
        return _places(unique_names(names))

    @property
    def _buffer(self) -> int:
        return max(32_000_000, 2 * self.source.max_line_bytes)

    # -- json --------------------------------------------------------------------------------
    def _jsonl(self, path: Path) -> Incoming:
        try:
            self._stage_lines(path)
        except duckdb.Error as error:
            raise NeedsCare from error
        return self._records()

    def _careful_jsonl(self, path: Path) -> Incoming:
        """For files with bytes that are no text, or lines that are too long."""
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
        self._stage(
            f"""
            select line as __json from read_csv(
                {literal(str(path))}, auto_detect = false, header = false,
                columns = {{'line': 'varchar'}}, delim = '\x1f', quote = '', escape = '',
                max_line_size = {self.source.max_line_bytes}, buffer_size = {self._buffer})
            """
        )

    def _json(self, path: Path) -> Incoming:
        try:
            self._stage_documents(path)
        except duckdb.Error as error:
            raise NeedsCare from error
        return self._records()

    def _careful_json(self, path: Path) -> Incoming:
        """For documents with bytes that are no text."""
        try:
            mended = mend_document(path, self.scratch / (path.name + ".mended"), MAX_JSON_BYTES)
        except UNREADABLE as error:
            raise UnreadableFile(f"cannot be read to its end: {error}") from error
        self._stage_documents(mended or path)
        return self._records(f"or contains(__json, {literal(MARK)})")

    def _stage_documents(self, path: Path) -> None:
        parts = [part for part in (self.source.records_path or "").split(".") if part]
        place = literal(pointer(parts))
        self._stage(
            f"""
            select record::varchar as __json from (
                select unnest(case json_type(json, {place})
                    when 'ARRAY' then json_extract(json_extract(json, {place}), '$[*]')
                    else [json_extract(json, {place})] end) as record
                from read_json_objects({literal(str(path))},
                    format = 'unstructured', maximum_object_size = {MAX_JSON_BYTES}))
            """
        )
        if parts:
            gone = f"update {self._table}_records set __json = 'null' where __json is null"
            self.con.execute(gone)

    def _temporary(self, name: str, table: pa.Table) -> None:
        self.con.register("arriving", table)
        self.con.execute(f"create or replace temp table {name} as from arriving")
        self.con.unregister("arriving")

    def _stage(self, query: str) -> None:
        self.con.execute(f"create or replace temp table {self._table}_records as {query}")
        self._number_rows()

    def _number_rows(self) -> None:
        # ids of rows that are not committed yet begin at a number of DuckDB's own; those of committed
        # ones at 0
        row = self.con.execute(
            f"select coalesce(min(rowid), 0) from {self._table}_records"
        ).fetchone()
        self._first_row = int(row[0]) if row else 0

    def _staged(self) -> str:
        """The file's records, numbered: a table keeps their order, and is read in parallel."""
        return f"(select rowid - {self._first_row} + 1 as __row, * from {self._table}_records)"

    def _records(self, or_broken: str = "") -> Incoming:
        """The staged rows that are JSON objects; the others are rejects.

        Args:
            or_broken: SQL of one more condition that makes a record broken.
        """
        blank = "(not starts_with(__json, '{') and trim(__json) = '' or __json is null)"
        # a CASE: the sides of an OR are taken in any order, and json_type fails on what is no JSON
        kind = "case when json_valid(__json) then json_type(__json) else 'NONE' end"
        broken = f"({kind}) <> 'OBJECT' {or_broken}"
        found = self.con.execute(
            f"select exists(from {self._table}_records where {blank})"
        ).fetchone()
        if found and found[0]:
            self.con.execute(f"delete from {self._table}_records where {blank}")
        self.con.execute(
            f"""
            create or replace temp table {self._table}_broken as
            select rowid - {self._first_row} + 1 as row_number, __json, json_valid(__json) as is_json
            from {self._table}_records where {broken}
            """
        )
        rejects = self._broken()
        if rejects:
            self.con.execute(f"delete from {self._table}_records where {broken}")
        keys = self.con.execute(
            f"with shapes as (select distinct json_keys(__json) as keys from {self._table}_records) "
            "select distinct unnest(keys) as key from shapes order by key"
        ).fetchall()
        columns, shape = self._members(key for (key,) in keys)
        # the members asked for are taken out of a record in one pass over its text
        parsed = f"from_json(__json, {literal(json.dumps(shape))})" if shape else "null"
        return Incoming(
            f"(select *, {parsed} as __record from {self._staged()})",
            columns,
            "__row",
            rejects,
            json_record="__json",
        )

    def _broken(self) -> list[Reject]:
        """Rejects among the staged records; half a surrogate pair is mended, not rejected."""
        found = self.con.execute(
            f"select row_number, __json, is_json from {self._table}_broken order by row_number"
        ).fetchall()
        mended = {row: mend_text(text) for row, text, is_json in found if not is_json}
        mended = {row: text for row, text in mended.items() if text is not None}
        if mended:
            texts = pa.table({"n": list(mended), "t": list(mended.values())})
            self._temporary(f"{self._table}_mended", texts)
            self.con.execute(
                f"update {self._table}_records set __json = t from {self._table}_mended "
                f"where {self._table}_records.rowid = n + {self._first_row} - 1 and json_valid(t)"
            )
            sound = f"select n from {self._table}_mended "
            sound += "where case when json_valid(t) then json_type(t) end = 'OBJECT'"
            saved = {row for (row,) in self.con.execute(sound).fetchall()}
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

    # -- other formats -----------------------------------------------------------------------
    def _parquet(self, path: Path) -> Incoming:
        file = f"read_parquet({literal(str(path))}, file_row_number = true)"
        names = [row[0] for row in self.con.execute(f"describe from {file}").fetchall()]
        places = _places([name for name in names if name != "file_row_number"])
        chosen = "".join(f", {ident(n)}::varchar as {place}" for n, place in places.items())
        relation = f"(select file_row_number + 1 as __row{chosen} from {file})"
        return Incoming(relation, places, "__row")

    def _xlsx(self, path: Path) -> Incoming:
        limit = self.source.max_expanded
        table, names, rejects = read_excel(
            path, sheet=self.source.sheet, header=self.source.header, max_bytes=limit
        )
        self._temporary(f"{self._table}_records", table)
        return Incoming(f"{self._table}_records", _places(names), "__row", rejects)

    def _mbox(self, path: Path) -> Incoming:
        table, rejects = read_mbox(path, self.source.max_line_bytes)
        self._temporary(f"{self._table}_records", table)
        columns = {name: ident(name) for name in table.column_names if name != "__row"}
        return Incoming(f"{self._table}_records", columns, "__row", rejects)


def _json_fault(text: str, is_json: bool) -> str:
    if MARK in text:
        return "is not valid text in the file's encoding"
    return "is JSON, but no object" if is_json else "is not valid JSON"


def _places(names: list[str]) -> dict[str, str]:
    return {name: f"c{i}" for i, name in enumerate(names)}


def _nothing() -> Incoming:
    """A file without a single record."""
    return Incoming("(select 1 as __row where false)", {}, "__row")
