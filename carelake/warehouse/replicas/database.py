"""What replication asks of a database; PostgreSQL and MySQL answer each in a module of its own."""

from __future__ import annotations

import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from carelake.errors import RunFailed
from carelake.setting_groups.replicas import Replica
from carelake.warehouse.connection import first_line
from carelake.warehouse.replicas.audit import Phrases
from carelake.warehouse.replicas.columns import Dialect, Kind, sent
from carelake.warehouse.replicas.marts import PARTS, PUBLICATION, Change, Held, Mart, selection

MARKER = "carelake_staging"
"""Table that says a staging schema is ours, to be emptied without asking."""


class Database(ABC):
    """One connection that holds the lock, writes staging, looks, and swaps.

    Bulk data goes another way: DuckDB's own connection, or a file.
    """

    dialect: Dialect
    phrases: Phrases
    errors: type[Exception]
    """What its driver raises."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.schema = replica.schema_name
        self.staging = replica.staging

    @abstractmethod
    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement, and give its rows where it has any."""

    @abstractmethod
    def close(self) -> None:
        """End the connection, and with it the lock."""

    @abstractmethod
    def lock(self, say: Callable[[str], None]) -> None:
        """Take the lock of this schema, or say who has it.

        Raises:
            RunFailed: another replication kept it for `wait_seconds`.
        """

    @abstractmethod
    def make_schemas(self) -> None:
        """Schema and staging schema, where they are missing."""

    @abstractmethod
    def admit_reader(self, reader: str) -> None:
        """Make the reader role where it is missing; it may read the schema, and nothing else.

        Raises:
            RunFailed: we may not; the message has the statements for an administrator.
        """

    @abstractmethod
    def describe(self, mart: Mart) -> None:
        """Comments of a staged table and its columns; and the reader's right, where it is per table."""

    @abstractmethod
    def month(self, column: str) -> str:
        """Expression for the month (UTC) of a time, as in 2024-05."""

    @abstractmethod
    def attached(self, con: duckdb.DuckDBPyConnection) -> None:
        """Make the staging schema known to DuckDB as `replica`, where rows travel that way."""

    @abstractmethod
    def send(self, con: duckdb.DuckDBPyConnection, change: Change, scratch: Path) -> None:
        """Bring rows into a staged table, in bulk."""

    @abstractmethod
    def swap(self, arriving: Sequence[str], leaving: Sequence[str]) -> None:
        """Put staged tables in the place of those readers see, all at one moment.

        Args:
            arriving: names of staged tables.
            leaving: names of tables readers see now that are replaced or gone.

        Raises:
            RunFailed: readers kept the tables open for `wait_seconds`.
        """

    def there(self, table: str) -> str:
        """A table readers see."""
        return f"{self.dialect.ident(self.schema)}.{self.dialect.ident(table)}"

    def staged(self, table: str) -> str:
        """A table of the staging schema."""
        return f"{self.dialect.ident(self.staging)}.{self.dialect.ident(table)}"

    def tables(self, schema: str) -> set[str]:
        """Names of tables and views of a schema; none when there is no such schema."""
        found = self.rows(
            f"select table_name from information_schema.tables where table_schema = '{schema}'"
        )
        return {str(name) for (name,) in found}

    def held(self) -> dict[str, Held]:
        """What the replica says it holds, by mart, of the tables that are still there."""
        here = self.tables(self.schema)
        if PARTS not in here or PUBLICATION not in here:
            return {}
        found: dict[str, Held] = {}
        for mart, part, table, shape, fingerprint in self.rows(
            f"select mart, part, table_name, shape, fingerprint from {self.there(PARTS)}"
        ):
            if table in here:
                found.setdefault(mart, Held(table, shape, {})).parts[part] = fingerprint
        return found

    def version(self) -> tuple[int, str | None] | None:
        """Version and banner that readers see, None before the first."""
        if PUBLICATION not in self.tables(self.schema):
            return None
        found = self.rows(f"select version, banner from {self.there(PUBLICATION)}")
        return (int(found[0][0]), found[0][1]) if found else None

    def prepare(self, marts: Sequence[Mart], held: dict[str, Held]) -> None:
        """Schemas, reader, and an empty staging schema.

        Raises:
            RunFailed: a schema holds tables of somebody else.
        """
        here = self.tables(self.schema)
        ours = {each.target for each in held.values()}
        if {PUBLICATION, PARTS} <= here:
            ours |= {PUBLICATION, PARTS}
        wanted = {PUBLICATION, PARTS, *(mart.target for mart in marts)}
        taken = sorted((here - ours) & wanted)
        if taken:
            raise RunFailed(
                f"schema {self.schema} has a table {taken[0]} that Carelake did not write; "
                "move it, or name another schema"
            )
        self.make_schemas()
        self._empty_staging()
        if self.replica.reader:
            self.admit_reader(self.replica.reader)

    def _empty_staging(self) -> None:
        left = self.tables(self.staging)
        if left and MARKER not in left:
            raise RunFailed(
                f"schema {self.staging} has tables that Carelake did not write; "
                "move them, or name another schema"
            )
        for table in left - {MARKER}:
            self.rows(f"drop table {self.staged(table)}")
        if MARKER not in left:
            self.rows(f"create table {self.staged(MARKER)} (written_by_carelake integer)")

    def create(self, mart: Mart) -> None:
        """An empty staged table."""
        columns = ", ".join(
            f"{self.dialect.ident(column.target)} {column.target_type}" for column in mart.columns
        )
        self.rows(f"create table {self.staged(mart.target)} ({columns})")
        self.describe(mart)

    def keep(self, change: Change) -> None:
        """Copy the months that did not change from what readers see; they do not travel."""
        mart = change.mart
        if not change.keep or mart.month_of is None:
            return
        month = f"coalesce({self.month(self.dialect.ident(mart.month_of.target))}, 'undated')"
        months = ", ".join(f"'{part}'" for part in change.keep)
        names = self._names(mart)
        self.rows(
            f"insert into {self.staged(mart.target)} ({names}) "
            f"select {names} from {self.there(mart.target)} where {month} in ({months})"
        )

    def insert(self, con: duckdb.DuckDBPyConnection, change: Change) -> None:
        """Send by DuckDB's connection to the database."""
        mart = change.mart
        con.execute(
            f"insert into replica.{self._quoted(self.staging)}.{self._quoted(mart.target)} "
            f"({', '.join(self._quoted(column.target) for column in mart.columns)}) "
            + selection(mart, change.send, ", ".join(sent(column) for column in mart.columns))
        )

    def _names(self, mart: Mart) -> str:
        return ", ".join(self.dialect.ident(column.target) for column in mart.columns)

    @staticmethod
    def _quoted(name: str) -> str:
        """For DuckDB, whatever the database uses."""
        return '"' + name.replace('"', '""') + '"'


def caller() -> str:
    """Who we are, for those who wait for our lock."""
    return f"carelake replicate, process {os.getpid()} on {socket.gethostname()}"


@contextmanager
def told(replica: Replica, database: Database | None = None) -> Iterator[None]:
    """Errors of the replica's server, and of DuckDB on the way there, as one line.

    Raises:
        RunFailed: naming the server and what it said.
    """
    errors: tuple[type[Exception], ...] = (duckdb.Error, OSError)
    if database is not None:
        errors = (*errors, database.errors)
    try:
        yield
    except errors as error:
        raise RunFailed(f"{replica.address}: {_what_it_said(error)}") from error


def _what_it_said(error: Exception) -> str:
    # pymysql's errors are pairs of a number and a text
    if len(error.args) == 2 and isinstance(error.args[0], int):
        return f"{error.args[1]} ({error.args[0]})"
    return first_line(error)


TYPES_OF_BOTH = {Kind.decimal: "numeric{}", Kind.day: "date", Kind.flag: "boolean"}
"""Types that both databases call the same."""
