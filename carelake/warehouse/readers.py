"""One reader per file format: each makes a landed file a relation of texts."""

from __future__ import annotations

import csv
import io
import json
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
    require_whole,
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
        self._first_row = 0

    def read(self, path: Path, *, careful: bool = False) -> Incoming:
        """Open one landed file.

        Args:
            careful: read CSV and JSON lines line by line, because the fast way met a fault.

        Raises:
            NeedsCare: the fast way met a fault.
            UnreadableFile: nothing of it can be read.
        """
        require_whole(path)
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
        self.con.execute("drop table if exists reject_errors; drop table if exists reject_scans")
        try:
            self._stage_csv(path, names, ", store_rejects = true, rejects_limit = 0")
        except duckdb.Error as error:
            raise NeedsCare from error
        nul = " or ".join(f"contains({ident(name)}, chr(0))" for name in names)
        faulty = self.con.execute(
            f"select exists(from reject_errors) or exists(from carelake_records where {nul})"
        ).fetchone()
        if faulty and faulty[0]:
            raise NeedsCare
        return Incoming(self._staged(), {name: ident(name) for name in names}, "__row")

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
        self._stage_csv(clean, names, "")
        relation, row = self._staged(), "__row"
        steps = shifts(rejects)
        if steps:
            table = pa.table({"start": [s for s, _ in steps], "shift": [n for _, n in steps]})
            self._temporary("carelake_shifts", table)
            relation = f"""(
                select r.*, r.__row + coalesce(s.shift, 0) as __physical
                from {relation} as r asof left join carelake_shifts as s on r.__row >= s.start)"""
            row = "__physical"
        return Incoming(relation, {name: ident(name) for name in names}, row, rejects)

    def _stage_csv(self, path: Path, names: list[str], more: str) -> None:
        assert self.dialect is not None
        fields = ", ".join(f"{literal(name)}: 'varchar'" for name in names)
        self._stage(
            f"""
            from read_csv(
                {literal(str(path))}, auto_detect = false, header = {self.source.header},
                columns = {{{fields}}}, delim = {literal(self.dialect.delimiter)},
                quote = {literal(self.dialect.quote)}, escape = {literal(self.dialect.quote)},
                strict_mode = true, max_line_size = {self.source.max_line_bytes},
                buffer_size = {self._buffer}{more})
            """
        )

    @property
    def _buffer(self) -> int:
        return max(32_000_000, 2 * self.source.max_line_bytes)

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
        try:
            self._stage(
                f"""
                select line as __json from read_csv(
                    {literal(str(path))}, auto_detect = false, header = false,
                    columns = {{'line': 'varchar'}}, delim = '\x1f', quote = '', escape = '',
                    max_line_size = {self.source.max_line_bytes}, buffer_size = {self._buffer})
                """
            )
        except duckdb.Error as error:
            raise NeedsCare from error
        return self._records()

    def _careful_jsonl(self, path: Path) -> Incoming:
        """For files with bytes that are no text, or lines that are too long."""
        texts: list[str] = []
        try:
            with open_plain(path) as file:
                for line in file:
                    too_long = len(line) > self.source.max_line_bytes
                    cut = line[:RAW_TEXT_LIMIT] if too_long else line
                    texts.append(cut.decode("utf-8", "surrogateescape").rstrip("\r\n"))
        except (OSError, EOFError) as error:
            raise UnreadableFile(f"cannot be read to its end: {error}") from error
        # a cut line, and one with a byte that is no text, is invalid JSON and rejected as such
        self._temporary("carelake_records", pa.table({"__json": [_printable(t) for t in texts]}))
        self._number_rows()
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
            f"select record::varchar as __json from (select unnest({items}) as record from {document})"
        )
        return self._records()

    def _temporary(self, name: str, table: pa.Table) -> None:
        self.con.register("arriving", table)
        self.con.execute(f"create or replace temp table {name} as from arriving")
        self.con.unregister("arriving")

    def _stage(self, query: str) -> None:
        self.con.execute(f"create or replace temp table carelake_records as {query}")
        self._number_rows()

    def _number_rows(self) -> None:
        # ids of rows that are not committed yet begin at a number of DuckDB's own
        row = self.con.execute("select coalesce(min(rowid), 0) from carelake_records").fetchone()
        self._first_row = int(row[0]) if row else 0

    def _staged(self) -> str:
        """The file's records, numbered: a table keeps their order, and is read in parallel."""
        return f"(select rowid - {self._first_row} + 1 as __row, * from carelake_records)"

    def _records(self) -> Incoming:
        """Rows of `carelake_records` that are JSON objects; the others are rejects."""
        blank = "(not starts_with(__json, '{') and trim(__json) = '' or __json is null)"
        found = self.con.execute(f"select exists(from carelake_records where {blank})").fetchone()
        if found and found[0]:
            self.con.execute(f"delete from carelake_records where {blank}")
        broken = self.con.execute(
            f"""
            select rowid - {self._first_row} + 1, left(__json, {RAW_TEXT_LIMIT}), case
                when json_valid(__json) then 'is JSON, but no object' else 'is not valid JSON' end
            from carelake_records
            where not json_valid(__json) or json_type(__json) <> 'OBJECT'
            order by rowid
            """
        ).fetchall()
        rejects = [Reject(row, row, reason, text) for row, text, reason in broken]
        if rejects:
            self.con.execute(
                "delete from carelake_records "
                "where not json_valid(__json) or json_type(__json) <> 'OBJECT'"
            )
        keys = self.con.execute(
            "with shapes as (select distinct json_keys(__json) as keys from carelake_records) "
            "select distinct unnest(keys) as key from shapes order by key"
        ).fetchall()
        # every member is taken out of a record in one pass over its text
        shape = json.dumps({key: "VARCHAR" for (key,) in keys}, ensure_ascii=False)
        parsed = f"from_json(__json, {literal(shape)})" if keys else "null"
        return Incoming(
            f"(select *, {parsed} as __record from {self._staged()})",
            {key: f"__record.{ident(key)}" for (key,) in keys},
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
        self._stage(f"from {relation}")
        return Incoming(self._staged(), columns, "__row")

    def _mbox(self, path: Path) -> Incoming:
        table, rejects = read_mbox(path)
        self._temporary("carelake_records", table)
        columns = {name: ident(name) for name in table.column_names if name != "__row"}
        return Incoming("carelake_records", columns, "__row", rejects)


def _printable(text: str) -> str:
    """A text with its undecodable bytes made visible, which also makes it invalid JSON."""
    if any(0xDC80 <= ord(c) <= 0xDCFF for c in text):
        return "�" + "".join("�" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)
    return text


def _nothing() -> Incoming:
    """A file without a single record."""
    return Incoming("(select 1 as __row where false)", {}, "__row")
