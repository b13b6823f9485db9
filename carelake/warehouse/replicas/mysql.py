"""The marts in MySQL or MariaDB: LOAD DATA from a file, and one RENAME TABLE for the swap."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pymysql

from carelake.errors import RunFailed
from carelake.extensions import load_extension
from carelake.setting_groups.replicas import PORTS, Replica
from carelake.warehouse.connection import ident, literal
from carelake.warehouse.replicas.audit import Phrases
from carelake.warehouse.replicas.columns import Column, Dialect, Kind, sent
from carelake.warehouse.replicas.database import TYPES_OF_BOTH, Database, caller
from carelake.warehouse.replicas.marts import Change, Mart, selection

ACCESS_DENIED = frozenset({1044, 1142, 1227, 1410})
LOCK_TIMED_OUT = frozenset({1205, 1213})
NO_LOCAL_FILES = frozenset({1148, 2068, 3948, 4166})
"""The server, or the driver, takes no files from clients."""
PAUSE = 0.5
"""Seconds between two tries of a swap; then readers come and go."""
LONGEST_COMMENT = {"table": 2048, "column": 1024}
DIALECT = Dialect(
    types={
        **TYPES_OF_BOTH,
        Kind.float: "double",
        Kind.text: "longtext",
        Kind.json: "json",
        Kind.nested: "json",
        Kind.moment: "datetime(6)",
        Kind.local: "datetime(6)",
        Kind.clock: "time(6)",
        Kind.bytes: "longblob",
    },
    integers={
        "TINYINT": "smallint", "SMALLINT": "smallint", "INTEGER": "integer", "BIGINT": "bigint",
        "UTINYINT": "smallint", "USMALLINT": "integer", "UINTEGER": "bigint",
        "UBIGINT": "numeric(20)", "HUGEINT": "numeric(38)", "UHUGEINT": "numeric(38)",
    },
    longest=64,
    in_bytes=False,
    mark="`",
)  # fmt: skip
PHRASES = Phrases(
    microseconds="timestampdiff(microsecond, '1970-01-01', {})",
    days="datediff({}, '1970-01-01')",
    digest="cast(conv(left(md5(concat_ws(char(31 using utf8mb4), {})), 8), 16, 10) as unsigned)",
)


class MySQL(Database):
    """A schema of MySQL 8 or MariaDB 10.6, or newer."""

    dialect = DIALECT
    phrases = PHRASES
    errors = pymysql.MySQLError

    def __init__(self, replica: Replica) -> None:
        super().__init__(replica)
        self.session = pymysql.connect(
            host=replica.host,
            port=replica.port or PORTS[replica.kind],
            user=replica.user,
            password=replica.password() or "",
            charset="utf8mb4",
            autocommit=True,
            local_infile=True,
            connect_timeout=20,
            program_name=caller(),
            **self._tls(),
        )
        # the server's zone and modes are its owner's: ours are UTC, and no value is bent to fit
        self.rows(
            "set time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE'"
        )
        self.rows(f"set lock_wait_timeout = {replica.wait_seconds}")

    def _tls(self) -> dict[str, Any]:
        if self.replica.tls == "prefer":
            return {}  # the driver's own way: TLS where the server has it
        ca = self.replica.ca_file
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
        if self.replica.tls == "require":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return {"ssl": context}

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement, and give its rows where it has any."""
        with self.session.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def close(self) -> None:
        """End the connection, and with it the lock."""
        self.session.close()

    def lock(self, say: Callable[[str], None]) -> None:
        """Take the named lock of this schema, or say who has it."""
        name = literal(f"carelake {self.schema}")
        deadline = time.monotonic() + self.replica.wait_seconds
        asked = False
        while not self.rows(f"select get_lock({name}, 0)")[0][0]:
            holder = self._holder(name)
            if time.monotonic() > deadline:
                raise RunFailed(f"schema {self.schema} is being written by {holder}; wait for it")
            if not asked:
                say(f"waiting for {self.replica.address}, written by {holder}")
                asked = True
            time.sleep(0.2)

    def _holder(self, name: str) -> str:
        found = self.rows(
            "select id, user, host from information_schema.processlist "
            f"where id = is_used_lock({name})"
        )
        if not found:
            return "another session"
        session, user, host = found[0]
        return f"a replication from {host} (session {session} of {user})"

    def make_schemas(self) -> None:
        """Schema and staging schema, where they are missing; texts compare as they do in DuckDB."""
        there = {str(name) for (name,) in self.rows("show databases")}
        for schema in {self.schema, self.staging} - there:
            self.rows(
                f"create database {self.dialect.ident(schema)} character set utf8mb4 collate utf8mb4_bin"
            )

    def admit_reader(self, reader: str) -> None:
        """Make the reader role where it is missing; it may read the schema."""
        role = self.dialect.ident(reader)
        # in a grant's schema, an underscore would mean any character
        schema = self.dialect.ident(self.schema.replace("_", "\\_"))
        create, grant = f"create role if not exists {role}", f"grant select on {schema}.* to {role}"
        try:
            self.rows(create)
        except pymysql.MySQLError as error:
            if error.args[0] not in ACCESS_DENIED:
                raise  # without the right to make roles: one may have been made for us
        try:
            self.rows(grant)
        except pymysql.MySQLError as error:
            raise RunFailed(
                f"{self.replica.user} may not let {reader} read the marts ({error.args[1]}); let an "
                f"administrator run: {create}; {grant}; and set `reader: null`"
            ) from error

    def describe(self, mart: Mart) -> None:
        """Comments of a staged table and its columns, cut where MySQL's are shorter."""
        said = [
            f"modify {self.dialect.ident(column.target)} {column.target_type} "
            f"comment {self._comment(column.comment, 'column')}"
            for column in mart.columns
            if column.comment
        ]
        if mart.comment:
            said.append(f"comment = {self._comment(mart.comment, 'table')}")
        if said:
            self.rows(f"alter table {self.staged(mart.target)} {', '.join(said)}")

    def _comment(self, text: str, of: str) -> str:
        longest = LONGEST_COMMENT[of]
        # names and comments have three bytes a character there, texts have four
        shown = re.sub("[\U00010000-\U0010ffff]", "\ufffd", text)
        shown = shown if len(shown) <= longest else shown[: longest - 1] + "…"
        return str(self.session.escape(shown))

    def month(self, column: str) -> str:
        """Expression for the month (UTC) of a time."""
        return f"date_format({column}, '%Y-%m')"

    def attached(self, con: duckdb.DuckDBPyConnection) -> None:
        """Nothing: rows travel in files, as long as the server takes them."""

    def _attach(self, con: duckdb.DuckDBPyConnection) -> None:
        load_extension(con, "mysql_scanner")
        replica, modes = self.replica, {"prefer": "preferred", "require": "required"}
        options = [
            f"host {literal(replica.host)}",
            f"port {replica.port or PORTS[replica.kind]}",
            f"user {literal(replica.user)}",
            f"database {literal(self.staging)}",
            f"ssl_mode '{modes.get(replica.tls, 'verify_identity')}'",
        ]
        if (password := replica.password()) is not None:
            options.append(f"password {literal(password)}")
        if replica.ca_file:
            options.append(f"ssl_ca {literal(str(replica.ca_file))}")
        con.execute(
            f"create or replace temporary secret replica (type mysql, {', '.join(options)})"
        )
        con.execute("attach '' as replica (type mysql, secret replica)")

    def send(self, con: duckdb.DuckDBPyConnection, change: Change, scratch: Path) -> None:
        """LOAD DATA, by month where a mart has several; where files are refused, by INSERT."""
        mart = change.mart
        months = change.send if change.send is not None else tuple(mart.parts)
        files: list[tuple[str, ...] | None] = [(month,) for month in months]
        try:
            for some in files if mart.month_of else [None]:
                self._load_file(con, mart, some, scratch / "rows.csv")
        except pymysql.MySQLError as error:
            if error.args[0] not in NO_LOCAL_FILES:
                raise
            self._attach(con)
            try:
                self.insert(con, change)
            finally:
                con.execute("detach replica")

    def _load_file(
        self,
        con: duckdb.DuckDBPyConnection,
        mart: Mart,
        months: tuple[str, ...] | None,
        path: Path,
    ) -> None:
        texts = [c for c in mart.columns if c.kind in (Kind.text, Kind.json, Kind.nested)]
        quoted = f", force_quote ({', '.join(ident(c.name) for c in texts)})" if texts else ""
        values = ", ".join(f"{_written(c)} as {ident(c.name)}" for c in mart.columns)
        try:
            con.execute(
                f"copy ({selection(mart, months, values)}) to {literal(str(path))} "
                f"(format csv, header false, nullstr 'NULL'{quoted})"
            )
            fields = [self._field(number, c) for number, c in enumerate(mart.columns)]
            taken = ", ".join(variable for variable, _ in fields)
            sets = ", ".join(assignment for _, assignment in fields if assignment)
            self.rows(
                f"load data local infile {self.session.escape(str(path))} "
                f"into table {self.staged(mart.target)} character set utf8mb4 "
                "fields terminated by ',' optionally enclosed by '\"' escaped by '' "
                f"lines terminated by '\\n' ({taken})" + (f" set {sets}" if sets else "")
            )
        finally:
            path.unlink(missing_ok=True)
        # LOAD DATA LOCAL makes a warning of what would be an error
        for _, number, text in self.rows("show warnings"):
            raise RunFailed(f"{mart.name}: a value does not fit ({text}, {number})")

    def _field(self, number: int, column: Column) -> tuple[str, str]:
        """Where a field of the file goes: its column, or a variable and what is made of it."""
        name = self.dialect.ident(column.target)
        if column.kind is Kind.bytes:
            return f"@f{number}", f"{name} = unhex(@f{number})"
        return name, ""

    def swap(self, arriving: Sequence[str], leaving: Sequence[str]) -> None:
        """Rename all tables in one statement; those that leave go to staging, and are dropped there.

        A statement that is under way keeps its tables, and is waited for; one that comes meanwhile
        waits a second at most. A transaction that began before the swap and goes on reading after it
        is told so by the server (errors 1412 and 1213: begin anew); it never gets a mixture.
        """
        gone = {table: f"old_{number}" for number, table in enumerate(leaving)}
        moves = [f"{self.there(table)} to {self.staged(old)}" for table, old in gone.items()]
        moves += [f"{self.staged(table)} to {self.there(table)}" for table in arriving]
        deadline = time.monotonic() + self.replica.wait_seconds
        self.rows("set lock_wait_timeout = 1")
        while True:
            try:
                self.rows(f"rename table {', '.join(moves)}")
                break
            except pymysql.MySQLError as error:
                if error.args[0] not in LOCK_TIMED_OUT:
                    raise
                if time.monotonic() > deadline:
                    raise RunFailed(
                        f"readers kept the marts open for {self.replica.wait_seconds} s "
                        "(`show processlist` names them); the next run tries again"
                    ) from error
            time.sleep(PAUSE)
        for old in gone.values():
            self.rows(f"drop table {self.staged(old)}")


def _written(column: Column) -> str:
    """DuckDB's expression for a value as LOAD DATA reads it."""
    value = sent(column)
    if column.kind is Kind.moment:
        return f"({value} at time zone 'UTC')"
    if column.kind is Kind.flag:
        return f"{value}::tinyint"
    if column.kind is Kind.bytes:
        return f"hex({value})"
    return value
