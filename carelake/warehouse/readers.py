"""One reader per file format: each makes a landed file a relation of texts."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pyarrow as pa

from carelake.source import Source
from carelake.warehouse.arrow_columns import integers, strings
from carelake.warehouse.connection import first_line, ident, literal
from carelake.warehouse.csv_repair import (
    Dialect,
    Head,
    look_at,
    may_be_endless,
    may_go_on,
    repair,
    shifts,
)
from carelake.warehouse.excel import read_excel
from carelake.warehouse.incoming import (
    Incoming,
    NeedsCare,
    UnreadableFile,
    unique_names,
)
from carelake.warehouse.json_reader import JsonReader
from carelake.warehouse.mail_files import Parsed, read_mbox, read_tar
from carelake.warehouse.packed import require_sound, to_utf8
from carelake.warehouse.schema import EMAIL_COLUMNS
from carelake.warehouse.shapes import make_macros, shaped
from carelake.warehouse.staging import Staging, buffer_size
from carelake.warehouse.transcript_files import is_lines, read_transcript

PARSERS = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
"""Processes that may parse one mail file."""
UTF8 = {"utf-8", "utf8", "utf-8-sig", "ascii", "us-ascii"}


class Reader:
    """Reads the landed files of one source.

    Args:
        con: the warehouse; temporary tables are made on it.
        scratch: an empty folder for files that live as long as the load.
        dialect: the source's CSV dialect when it was found by an earlier load.
        landed_at: when the files were landed, in ISO.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        source: Source,
        scratch: Path,
        dialect: Dialect | None = None,
        landed_at: str = "",
    ) -> None:
        self.con = con
        self.staging = Staging(con)
        self.source = source
        self.scratch = scratch
        self.dialect = dialect
        self.landed_at = landed_at
        self.json = JsonReader(self.staging, source, scratch)
        if source.shape:
            make_macros(con)

    def forget(self) -> None:
        """Drop the temporary tables of all files."""
        self.staging.forget()

    def read(self, path: Path, *, careful: bool = False) -> Incoming:
        """Open one landed file.

        Args:
            careful: read CSV and JSON lines line by line, because the fast way met a fault.

        Raises:
            NeedsCare: the fast way met a fault.
            UnreadableFile: nothing of it can be read.
        """
        self.staging.begin_file()
        limit = self.source.max_expanded
        require_sound(path, limit)
        if self.source.rule.native:
            return self._mails(path)
        readers = {
            "csv": self._careful_csv if careful else self._csv,
            "jsonl": self.json.careful_lines if careful else self.json.lines,
            "json": self.json.careful_document if careful else self.json.document,
            "parquet": self._parquet,
            "xlsx": self._xlsx,
        }
        if self.source.transcripts is not None:
            if not is_lines(path):
                return read_transcript(self.staging, path, self.source.encoding)
            readers["json"] = readers["jsonl"]
        try:
            incoming = readers[self.source.format or ""](self._as_utf8(path))
            if self.source.shape and not self.source.rule.has_path:
                return shaped(self.con, self.source, self.landed_at, incoming, self.staging)
            return incoming
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
        if (
            not head.is_plain
            or (not is_packed and may_be_endless(path, head, self.source.max_line_bytes))
            or may_go_on(path, head)
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
            f"select exists(from reject_errors) or exists(from {self.staging.records} where {nul})"
        ).fetchone()
        if faulty and faulty[0]:
            return self._careful_csv(path)
        return Incoming(self.staging.staged(), columns, "__row")

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
        relation, row = self.staging.staged(), "__row"
        steps = shifts(rejects)
        if steps:
            table = pa.table({"start": [s for s, _ in steps], "shift": [n for _, n in steps]})
            self.staging.keep(f"{self.staging.name}_shifts", table)
            relation = f"""(
                select r.*, r.__row + coalesce(s.shift, 0) as __physical
                from {relation} as r asof left join {self.staging.name}_shifts as s on r.__row >= s.start)"""
            row = "__physical"
        return Incoming(relation, columns, row, rejects)

    def _stage_csv(self, path: Path, columns: dict[str, str], dialect: Dialect, more: str) -> None:
        fields = ", ".join(f"{place}: 'varchar'" for place in columns.values())
        self.staging.stage(
            f"""
            from read_csv(
                {literal(str(path))}, auto_detect = false, header = {self.source.header},
                columns = {{{fields}}}, delim = {literal(dialect.delimiter)},
                quote = {literal(dialect.quote)}, escape = {literal(dialect.quote)},
                strict_mode = true, max_line_size = {self.source.max_line_bytes},
                buffer_size = {buffer_size(self.source)}{more})
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

    # -- other formats -----------------------------------------------------------------------
    def _parquet(self, path: Path) -> Incoming:
        file = f"read_parquet({literal(str(path))}, file_row_number = true)"
        described = self.con.execute(f"describe from {file}").fetchall()
        types = {row[0]: row[1] for row in described if row[0] != "file_row_number"}
        places = _places(list(types))
        chosen = "".join(f", {_text(n, types[n])} as {place}" for n, place in places.items())
        relation = f"(select file_row_number + 1 as __row{chosen} from {file})"
        return Incoming(relation, places, "__row")

    def _xlsx(self, path: Path) -> Incoming:
        limit = self.source.max_expanded
        table, names, rejects = read_excel(
            path, sheet=self.source.sheet, header=self.source.header, max_bytes=limit
        )
        self.staging.keep(self.staging.records, table)
        return Incoming(self.staging.records, _places(names), "__row", rejects)

    def _mails(self, path: Path) -> Incoming:
        read = {"mbox": read_mbox, "tar": read_tar}[self.source.rule.lands]
        parsed = read(path, self.source.max_line_bytes, PARSERS)
        self.staging.keep(self.staging.records, mail_table(parsed))
        columns = {name: ident(name) for name in EMAIL_COLUMNS}
        return Incoming(self.staging.records, columns, "__row", parsed.rejects)


def mail_table(parsed: Parsed) -> pa.Table:
    """Parsed mails as they are staged."""
    columns = {name: strings([row[name] for row in parsed.rows]) for name in EMAIL_COLUMNS}
    return pa.table({"__row": integers([row["__row"] for row in parsed.rows]), **columns})


def _text(name: str, kind: str) -> str:
    """A typed column as the text that a mapping reads."""
    place = ident(name)
    if kind == "TIMESTAMP WITH TIME ZONE":
        # with its offset in full: the source's own zone is for times without one
        return (
            f"case when isfinite({place}) then {place}::varchar || ':00' else {place}::varchar end"
        )
    if kind in ("FLOAT", "DOUBLE"):
        # how programs without a NULL for numbers write that there is none
        return f"case when not isnan({place}) then {place}::varchar end"
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        return f"to_json({place})::varchar"
    return f"{place}::varchar"


def _places(names: list[str]) -> dict[str, str]:
    return {name: f"c{i}" for i, name in enumerate(names)}


def _nothing() -> Incoming:
    """A file without a single record."""
    return Incoming("(select 1 as __row where false)", {}, "__row")
