"""Files at hand, as temporary tables of the warehouse: one per file, its records numbered."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from carelake.source import Source
from carelake.warehouse.connection import ident


class Staging:
    """Keeps the temporary tables of the files of one load.

    Args:
        con: the warehouse; temporary tables are made on it.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        self._first_row = 0
        self._n_files = 0

    @property
    def name(self) -> str:
        """What the names of the temporary tables of the file at hand begin with."""
        return f"carelake_{self._n_files}"

    @property
    def records(self) -> str:
        """The table of the records of the file at hand."""
        return f"{self.name}_records"

    @property
    def pages(self) -> str:
        """The table of what its pages hold beside their records, where a shape reads that."""
        return f"{self.name}_pages"

    @property
    def first_row(self) -> int:
        """The `rowid` of its first record."""
        return self._first_row

    def begin_file(self) -> None:
        """Take the next file at hand; the tables of the earlier ones stay."""
        self._n_files += 1

    def forget(self) -> None:
        """Drop the temporary tables of all files."""
        held = self.con.execute(
            "select table_name from duckdb_tables() where temporary and starts_with(table_name, 'carelake_')"
        ).fetchall()
        for (name,) in held:
            self.con.execute(f"drop table {ident(name)}")
        self._n_files = 0

    def keep(self, name: str, table: pa.Table) -> None:
        """Keep an Arrow table as a temporary one."""
        self.con.register("arriving", table)
        self.con.execute(f"create or replace temp table {name} as from arriving")
        self.con.unregister("arriving")

    def stage(self, query: str) -> None:
        """Keep what a query gives as the records of the file at hand."""
        self.con.execute(f"create or replace temp table {self.records} as {query}")
        self._number_rows()

    def _number_rows(self) -> None:
        # ids of rows that are not committed yet begin at a number of DuckDB's own; those of committed
        # ones at 0
        row = self.con.execute(f"select coalesce(min(rowid), 0) from {self.records}").fetchone()
        self._first_row = int(row[0]) if row else 0

    def staged(self) -> str:
        """The file's records, numbered: a table keeps their order, and is read in parallel."""
        return f"(select rowid - {self._first_row} + 1 as __row, * from {self.records})"


def buffer_size(source: Source) -> int:
    """Of DuckDB's reader of lines: two of the longest must fit."""
    return max(32_000_000, 2 * source.max_line_bytes)
