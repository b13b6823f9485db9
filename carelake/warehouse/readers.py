"""One reader per file format: each makes a landed file a relation of texts."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa

from carelake.source_list import Source
from carelake.warehouse.connection import first_line, ident, literal
from carelake.warehouse.csv_repair import (
    RAW_TEXT_LIMIT,
    Dialect,
    open_plain,
    repair,
    shifts,
    to_utf8,
)
from carelake.warehouse.emails import read_mbox
from carelake.warehouse.incoming import Incoming, NeedsCare, Reject, UnreadableFile

MAX_JSON_BYTES = 1_000_000_000
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

    def read(self, path: Path, *, careful: bool = False) -> Incoming:
        """Open one landed file.

        Args:
            careful: read CSV and JSON lines line by line, because the fast way met a fault.

        Raises:
            NeedsCare: the fast way met a fault.
            UnreadableFile: nothing of it can be read.
        """
        if self.source.kind == "mbox":
            return self._mbox(path)
        readers = {
            "csv": self._careful_csv if careful else self._csv,
            "jsonl": self._careful_jsonl if careful else self._jsonl,
            "json": self._json,
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
        self.dialect = self.dialect or self._find_dialect(path)
        names = self._header(path)
        if not names:
            return _nothing()
        return self._csv_relation(path, names, fast=True)

    def _careful_csv(self, path: Path) -> Incoming:
        self.dialect = self.dialect or self._find_dialect(path)
        names = self._header(path)
        clean = self.scratch / (path.name + ".clean.csv")
        rejects = repair(
            path,
            clean,
            len(names),
            self.dialect,
            header=self.source.header,
            max_line_bytes=self.source.max_line_bytes,
        )
        incoming = self._csv_relation(clean, names, fast=False)
        steps = shifts(rejects)
        if steps:
            table = pa.table({"start": [s for s, _ in steps], "shift": [n for _, n in steps]})
            self._temporary("carelake_shifts", table)
            incoming.relation = (
                f"(select r.*, r.__row + coalesce(s.shift, 0) as __physical from {incoming.relation}"
                " as r asof left join carelake_shifts as s on r.__row >= s.start)"
            )
            incoming.row_number = "__physical"
        return replace(incoming, rejects=rejects)

    def _csv_relation(self, path: Path, names: list[str], *, fast: bool) -> Incoming:
        assert self.dialect is not None
        fields = ", ".join(f"{literal(name)}: 'varchar'" for name in names)
        rejects = ", store_rejects = true, rejects_limit = 0" if fast else ""
        relation = f"""(
            select row_number() over () as __row, * from read_csv(
                {literal(str(path))}, auto_detect = false, header = {self.source.header},
                columns = {{{fields}}}, delim = {literal(self.dialect.delimiter)},
                quote = {literal(self.dialect.quote)}, escape = {literal(self.dialect.quote)},
                strict_mode = true, max_line_size = {self.source.max_line_bytes},
                buffer_size = {max(32_000_000, 2 * self.source.max_line_bytes)}{rejects}))"""
        columns = {name: ident(name) for name in names}
        return Incoming(relation, columns, "__row", count_rejects=fast)

    def _find_dialect(self, path: Path) -> Dialect:
        quote = self.source.quote or '"'
        if self.source.delimiter:
            return Dialect(self.source.delimiter, quote)
        sample = self._first_text(path)
        try:
            found = csv.Sniffer().sniff(sample.splitlines()[0] if sample else "", ",;\t|")
            return Dialect(found.delimiter, quote)
        except (csv.Error, IndexError):
            return Dialect(",", quote)

    def _first_text(self, path: Path) -> str:
        try:
            with open_plain(path) as file:
                return file.read(1 << 20).decode("utf-8-sig", "replace")
        except (OSError, EOFError) as error:
            raise UnreadableFile(f"cannot be read: {error}") from error

    def _header(self, path: Path) -> list[str]:
        """Column names, made unique; `column<i>` where a name is empty or there is no header."""
        assert self.dialect is not None
        text = self._first_text(path)
        first = next(
            csv.reader(
                io.StringIO(text, newline=""),
                delimiter=self.dialect.delimiter,
                quotechar=self.dialect.quote,
            ),
            [],
        )
        names: list[str] = []
        taken: set[str] = set()
        for i, cell in enumerate(first):
            name = cell.strip().replace("\0", "") if self.source.header else ""
            name = name or f"column{i}"
            while name.lower() in taken:
                name += "_"
            taken.add(name.lower())
            names.append(name)
        return names

    # -- json --------------------------------------------------------------------------------
    def _jsonl(self, path: Path) -> Incoming:
        lines = f"""read_csv(
            {literal(str(path))}, auto_detect = false, header = false, columns = {{'line': 'varchar'}},
            delim = '\x1f', quote = '', escape = '', max_line_size = {self.source.max_line_bytes},
            buffer_size = {max(32_000_000, 2 * self.source.max_line_bytes)})"""
        numbered = f"(select row_number() over () as __row, line as __json from {lines})"
        try:
            self._stage(f"select * from {numbered} where trim(__json) <> ''")
        except duckdb.Error as error:
            raise NeedsCare from error
        return self._records()

    def _careful_jsonl(self, path: Path) -> Incoming:
        """For files with bytes that are no text, or lines that are too long."""
        numbers: list[int] = []
        texts: list[str] = []
        try:
            with open_plain(path) as file:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        numbers.append(number)
                        too_long = len(line) > self.source.max_line_bytes
                        cut = line[:RAW_TEXT_LIMIT] if too_long else line
                        texts.append(cut.decode("utf-8", "surrogateescape").rstrip("\r\n"))
        except (OSError, EOFError) as error:
            raise UnreadableFile(f"cannot be read to its end: {error}") from error
        # a cut line, and one with a byte that is no text, is invalid JSON and rejected as such
        table = pa.table({"__row": numbers, "__json": [_printable(text) for text in texts]})
        self._temporary("carelake_records", table)
        return self._records()

    def _json(self, path: Path) -> Incoming:
        place = "$"
        for part in (self.source.records_path or "").split("."):
            place += f'."{part}"' if part else ""
        document = f"""read_json_objects(
            {literal(str(path))}, format = 'unstructured', maximum_object_size = {MAX_JSON_BYTES})"""
        found = self.con.execute(
            f"select count(*), min(json_type(json, {literal(place)})) from {document}"
        ).fetchone()
        if not found or found[0] == 0:
            return _nothing()
        if found[1] is None:
            raise UnreadableFile(f"has nothing at records_path '{self.source.records_path}'")
        items = (
            f"json_extract(json, {literal(place + '[*]')})"
            if found[1] == "ARRAY"
            else (f"[json_extract(json, {literal(place)})]")
        )
        self._stage(
            f"select row_number() over () as __row, record::varchar as __json from "
            f"(select unnest({items}) as record from {document})"
        )
        return self._records()

    def _temporary(self, name: str, table: pa.Table) -> None:
        self.con.register("arriving", table)
        self.con.execute(f"create or replace temp table {name} as from arriving")
        self.con.unregister("arriving")

    def _stage(self, query: str) -> None:
        self.con.execute(f"create or replace temp table carelake_records as {query}")

    def _records(self) -> Incoming:
        """Rows of `carelake_records` that are JSON objects; the others are rejects."""
        broken = self.con.execute(
            f"""
            select __row, left(__json, {RAW_TEXT_LIMIT}),
                case when json_valid(__json) then 'is JSON, but no object' else 'is not valid JSON' end
            from carelake_records
            where not json_valid(__json) or json_type(__json) <> 'OBJECT'
            order by __row
            """
        ).fetchall()
        keys = self.con.execute(
            """
            select distinct unnest(json_keys(__json)) as key from carelake_records
            where json_valid(__json) and json_type(__json) = 'OBJECT' order by key
            """
        ).fetchall()
        rejects = [Reject(row, row, reason, text) for row, text, reason in broken]
        condition = "where json_valid(__json) and json_type(__json) = 'OBJECT'" if rejects else ""
        columns = {key: f"json_extract_string(__json, {literal(_member(key))})" for (key,) in keys}
        return Incoming(
            f"(select * from carelake_records {condition})",
            columns,
            "__row",
            rejects,
            json_record="__json",
        )

    # -- other formats -----------------------------------------------------------------------
    def _parquet(self, path: Path) -> Incoming:
        relation = f"read_parquet({literal(str(path))}, file_row_number = true)"
        names = [row[0] for row in self.con.execute(f"describe from {relation}").fetchall()]
        columns = {n: f"{ident(n)}::varchar" for n in names if n != "file_row_number"}
        return Incoming(relation, columns, "file_row_number + 1")

    def _xlsx(self, path: Path) -> Incoming:
        self.con.execute("load excel")
        sheet = f", sheet = {literal(self.source.sheet)}" if self.source.sheet else ""
        relation = f"read_xlsx({literal(str(path))}, header = {self.source.header}{sheet})"
        names = [row[0] for row in self.con.execute(f"describe from {relation}").fetchall()]
        columns = {name: f"{ident(name)}::varchar" for name in names}
        return Incoming(
            f"(select row_number() over () as __row, * from {relation})", columns, "__row"
        )

    def _mbox(self, path: Path) -> Incoming:
        table, rejects = read_mbox(path)
        self._temporary("carelake_records", table)
        columns = {name: ident(name) for name in table.column_names if name != "__row"}
        return Incoming("carelake_records", columns, "__row", rejects)


def _member(key: str) -> str:
    """JSON path of a top-level member."""
    return "$." + json.dumps(key, ensure_ascii=False)


def _printable(text: str) -> str:
    """A text with its undecodable bytes made visible, which also makes it invalid JSON."""
    if any(0xDC80 <= ord(c) <= 0xDCFF for c in text):
        return "�" + "".join("�" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)
    return text


def _nothing() -> Incoming:
    """A file without a single record."""
    return Incoming("(select 1 as __row where false)", {}, "__row")
