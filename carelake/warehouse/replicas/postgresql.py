"""The marts in PostgreSQL: COPY by DuckDB's extension, and one transaction for the swap."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from carelake.errors import RunFailed
from carelake.extensions import load_extension
from carelake.setting_groups.replicas import PORTS, Replica
from carelake.warehouse.connection import literal
from carelake.warehouse.replicas.audit import Phrases
from carelake.warehouse.replicas.columns import Dialect, Kind
from carelake.warehouse.replicas.database import TYPES_OF_BOTH, Database, caller
from carelake.warehouse.replicas.marts import Change, Mart

LOCK_TIMEOUT_MS = 400
"""How long a swap may keep new readers waiting. Below PostgreSQL's `deadlock_timeout` of a second: of
a swap and a reader who wait for each other, the swap gives way."""
PAUSE = 0.5
"""Seconds between two tries of a swap; then readers come and go."""
DIALECT = Dialect(
    types={
        **TYPES_OF_BOTH,
        Kind.float: "double precision",
        Kind.text: "text",
        Kind.json: "jsonb",
        Kind.nested: "jsonb",
        Kind.moment: "timestamp with time zone",
        Kind.local: "timestamp",
        Kind.clock: "time",
        Kind.bytes: "bytea",
    },
    integers={
        "TINYINT": "smallint", "SMALLINT": "smallint", "INTEGER": "integer", "BIGINT": "bigint",
        "UTINYINT": "smallint", "USMALLINT": "integer", "UINTEGER": "bigint",
        "UBIGINT": "numeric(20)", "HUGEINT": "numeric(38)", "UHUGEINT": "numeric(38)",
    },
    longest=63,
    in_bytes=True,
    mark='"',
    forbidden=frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}),
)  # fmt: skip
PHRASES = Phrases(
    microseconds="(extract(epoch from {}) * 1000000)::numeric",
    days="({} - date '1970-01-01')",
    digest="('x' || left(md5(concat_ws(chr(31), {})), 8))::bit(32)::bigint",
)
TLS = {"prefer": "prefer", "require": "require", "verify": "verify-full"}


class PostgreSQL(Database):
    """A schema of a PostgreSQL database, 14 or newer."""

    dialect = DIALECT
    phrases = PHRASES
    errors = psycopg.Error

    def __init__(self, replica: Replica) -> None:
        super().__init__(replica)
        self.session = psycopg.connect(
            host=replica.host,
            port=replica.port or PORTS[replica.kind],
            dbname=replica.database,
            user=replica.user,
            password=replica.password(),
            application_name=caller()[:63],
            connect_timeout=20,
            autocommit=True,
            **self._tls(),
        )
        # a table somebody has open is waited for, but not for ever
        self.rows(f"set lock_timeout = '{replica.wait_seconds}s'")
        self.rows("set timezone = 'UTC'")

    def _tls(self) -> dict[str, Any]:
        ca = {"sslrootcert": str(self.replica.ca_file)} if self.replica.ca_file else {}
        return {"sslmode": TLS[self.replica.tls], **ca}

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement, and give its rows where it has any."""
        cursor = self.session.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """End the connection, and with it the lock."""
        self.session.close()

    def lock(self, say: Callable[[str], None]) -> None:
        """Take the advisory lock of this schema, or say who has it."""
        key = f"hashtextextended({literal('carelake ' + self.schema)}, 0)"
        deadline = time.monotonic() + self.replica.wait_seconds
        asked = False
        while not self.rows(f"select pg_try_advisory_lock({key})")[0][0]:
            holder = self._holder(key)
            if time.monotonic() > deadline:
                raise RunFailed(f"schema {self.schema} is being written by {holder}; wait for it")
            if not asked:
                say(f"waiting for {self.replica.address}, written by {holder}")
                asked = True
            time.sleep(0.2)

    def _holder(self, key: str) -> str:
        found = self.rows(
            "select a.application_name, a.pid from pg_locks as l join pg_stat_activity as a using (pid) "
            "where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.database = "
            "(select oid from pg_database where datname = current_database()) "
            f"and (l.classid::bigint << 32) | l.objid::bigint = {key}"
        )
        return f"`{found[0][0]}` (session {found[0][1]})" if found else "another session"

    def make_schemas(self) -> None:
        """Schema and staging schema, where they are missing."""
        for schema in (self.schema, self.staging):
            # `if not exists` would ask for the right to create even where there is nothing to do
            if not self.rows(f"select 1 from pg_namespace where nspname = '{schema}'"):
                self.rows(f"create schema {self.dialect.ident(schema)}")

    def admit_reader(self, reader: str) -> None:
        """Make the reader role where it is missing; it may use the schema."""
        role = self.dialect.ident(reader)
        if not self.rows(f"select 1 from pg_roles where rolname = {literal(reader)}"):
            try:
                self.rows(f"create role {role} nologin")
            except psycopg.errors.InsufficientPrivilege as error:
                raise RunFailed(
                    f"role {reader} is missing and {self.replica.user} may not create it; "
                    f"let an administrator run: create role {role}"
                ) from error
        self.rows(f"grant usage on schema {self.dialect.ident(self.schema)} to {role}")

    def describe(self, mart: Mart) -> None:
        """Comments of a staged table and its columns, and the reader's right to select."""
        table = self.staged(mart.target)
        if mart.comment:
            self.rows(f"comment on table {table} is {literal(mart.comment)}")
        for column in mart.columns:
            if column.comment:
                name = f"{table}.{self.dialect.ident(column.target)}"
                self.rows(f"comment on column {name} is {literal(column.comment)}")
        if self.replica.reader:
            self.rows(f"grant select on {table} to {self.dialect.ident(self.replica.reader)}")

    def month(self, column: str) -> str:
        """Expression for the month (UTC) of a time."""
        return f"to_char({column}, 'YYYY-MM')"  # the session's zone is UTC

    def attached(self, con: duckdb.DuckDBPyConnection) -> None:
        """Make the staging schema known to DuckDB as `replica`."""
        load_extension(con, "postgres_scanner")
        replica, password = self.replica, self.replica.password()
        secret = "" if password is None else f", password {literal(password)}"
        con.execute(
            f"create or replace temporary secret replica (type postgres, host {literal(replica.host)}, "
            f"port {replica.port or PORTS[replica.kind]}, user {literal(replica.user)}, "
            f"database {literal(replica.database)}{secret})"
        )
        options = " ".join(f"{key}='{_escaped(value)}'" for key, value in self._tls().items())
        con.execute(
            f"attach {literal(options)} as replica "
            f"(type postgres, secret replica, schema {literal(self.staging)})"
        )

    def send(self, con: duckdb.DuckDBPyConnection, change: Change, scratch: Path) -> None:
        """Binary COPY by DuckDB; then the planner is told what is in the table."""
        self.insert(con, change)
        self.rows(f"analyze {self.staged(change.mart.target)}")

    def swap(self, arriving: Sequence[str], leaving: Sequence[str]) -> None:
        """Drop and move tables in one transaction.

        A statement in several tables sees one version, because it opened them before the swap or
        after it. A transaction does too, whatever its isolation: one that read a table that is
        replaced keeps it open, so the swap waits for it; one whose snapshot is older than the
        new rows, which would find the new tables empty, is waited for first.
        """
        deadline = time.monotonic() + self.replica.wait_seconds
        self._wait_for_snapshots(deadline)
        while True:
            try:
                with self.session.transaction():
                    self.rows(f"set local lock_timeout = {LOCK_TIMEOUT_MS}")
                    self._move(arriving, leaving)
                return
            except psycopg.errors.LockNotAvailable as error:
                if time.monotonic() > deadline:
                    raise RunFailed(
                        f"{self._who_reads(leaving)} kept the marts open for "
                        f"{self.replica.wait_seconds} s; the next run tries again"
                    ) from error
            except psycopg.errors.DependentObjectsStillExist as error:
                detail = (error.diag.message_detail or "").splitlines()
                raise RunFailed(
                    f"something hangs on a mart ({'; '.join(detail[:1])}), which a swap would drop; "
                    "drop it, or build it as a mart in custom/"
                ) from error
            time.sleep(PAUSE)

    def _move(self, arriving: Sequence[str], leaving: Sequence[str]) -> None:
        if leaving:
            named = ", ".join(self.there(table) for table in leaving)
            self.rows(f"lock table {named} in access exclusive mode")
            self.rows(f"drop table {named}")
        for table in arriving:
            self.rows(
                f"alter table {self.staged(table)} set schema {self.dialect.ident(self.schema)}"
            )

    def _wait_for_snapshots(self, deadline: float) -> None:
        """Wait for the transactions that look at the database as it was before our rows came."""
        waiting = set(self._snapshots())
        while waiting:
            if time.monotonic() > deadline:
                pid, _, user, program = min(waiting)
                raise RunFailed(
                    f"a transaction of {user} (session {pid}, {program or 'no name'}) is open for "
                    f"{self.replica.wait_seconds} s; end it, and the next run tries again"
                )
            time.sleep(0.1)
            waiting &= set(self._snapshots())

    def _snapshots(self) -> list[tuple[Any, ...]]:
        """Session, transaction, user and program of every snapshot in this database but ours."""
        return self.rows(
            "select a.pid, l.virtualxid, a.usename, a.application_name from pg_stat_activity as a "
            "join pg_locks as l on l.pid = a.pid and l.locktype = 'virtualxid' and l.granted "
            "where a.backend_xmin is not null and a.usename is not null "
            "and a.datname = current_database() and a.pid <> pg_backend_pid()"
        )

    def _who_reads(self, tables: Sequence[str]) -> str:
        names = ", ".join(literal(table) for table in tables)
        found = self.rows(
            "select a.usename, a.pid, a.application_name from pg_locks as l "
            "join pg_class as c on c.oid = l.relation join pg_namespace as n on n.oid = c.relnamespace "
            f"join pg_stat_activity as a on a.pid = l.pid where n.nspname = '{self.schema}' "
            f"and c.relname in ({names}) and a.pid <> pg_backend_pid() order by a.xact_start limit 1"
        )
        return f"{found[0][0]} (session {found[0][1]}, {found[0][2]})" if found else "readers"


def _escaped(value: str) -> str:
    """A value between single quotes of a libpq connection string."""
    return value.replace("\\", "\\\\").replace("'", "\\'")
