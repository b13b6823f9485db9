"""PostgreSQL: DuckDB's scanner reads by binary COPY, in a transaction that is read-only.

The query is looked at by psycopg first, whose errors have codes.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from pathlib import Path

import duckdb
import psycopg
from psycopg.conninfo import make_conninfo

from carelake.extensions import load_extension
from carelake.sources.connections import Connection
from carelake.sources.patience import Passing, Refused
from carelake.sources.store import (
    CONNECT_SECONDS,
    Column,
    Grows,
    Slice,
    counting,
    need_server,
    one_select,
    quoted,
    statement,
)
from carelake.sql_text import first_line, literal

PORT = 5432
MEMORY = "1GB"
"""DuckDB's, for a table of any size."""
GROWS = {
    20: Grows.number, 21: Grows.number, 23: Grows.number, 1700: Grows.number,
    1082: Grows.local, 1114: Grows.local, 1184: Grows.moment,
}  # fmt: skip
"""By number of type: int8, int2, int4, numeric; date, timestamp, timestamptz."""
EXACT = {16, 19, 20, 21, 23, 25, 114, 700, 701, 1042, 1043, 1082, 1114, 1184, 2950, 3802}
"""Types that DuckDB reads without loss. Not numeric: it has NaN, which would arrive as 0."""
BYTES, MONEY = 17, 790
LITERAL = {
    Grows.number: "{}", Grows.moment: "timestamptz '{}+00'", Grows.local: "timestamp '{}'",
}  # fmt: skip
WILL_PASS = ("08", "40", "53", "55", "57", "58", "XX")
"""Classes of codes: connections, conflicts, resources, operators and their interventions."""
PASSES_BY = re.compile(
    "server closed|terminating connection|connection .*(reset|refused|timed out|lost)|timeout|"
    "could not (receive|send|connect)|no connection|SSL (connection|SYSCALL)|deadlock|recovery|"
    "canceling statement|EOF|shutting down|starting up|too many|remaining connection slots|"
    "could not serialize|out of memory|no space",
    re.IGNORECASE,
)
NOT_ADMITTED = re.compile(
    "authentication failed|no password supplied|pg_hba.conf|does not exist|permission denied|"
    "certificate|does not support SSL|invalid",
    re.IGNORECASE,
)
MENDS = {
    "28": "correct login and password of the connection",
    "3D": "correct the database (schema) of the connection",
    "42P01": "correct database.table or the query, with the schema in front as in support.tickets",
    "42703": "correct the query, or incremental.column",
    "42702": "give each column of the query a name of its own",
    "42501": "let its owner grant select on it to the connection's login, and usage on its schema",
    "42": "correct database.query",
    "25006": "a query may only read; correct it",
}


class Postgres:
    """A PostgreSQL database, 12 or newer."""

    def __init__(self, connection: Connection) -> None:
        host, port, user = need_server(connection, PORT)
        self._server = {"host": host, "port": str(port), "user": user}
        self._server["dbname"] = connection.database or user
        self._password = connection.password
        self._options = {
            "application_name": "carelake",
            "connect_timeout": str(CONNECT_SECONDS),
            "client_encoding": "UTF8",
            **{key: str(connection.extra[key]) for key in ("sslmode", "sslrootcert")
               if connection.extra.get(key)},
        }  # fmt: skip
        try:
            self._session = psycopg.connect(
                make_conninfo(**self._server, **self._options), password=connection.password or None
            )
        except psycopg.Error as error:
            raise _sorted_out(error) from None
        self._session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._session.read_only = True

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def now(self) -> dt.datetime:
        """The server's clock."""
        found = self._rows("select now()")[0][0]
        assert isinstance(found, dt.datetime)
        return found

    def relation(self, table: str) -> str:
        """A select of everything in a table."""
        return f"select * from {'.'.join(quoted(part, chr(34)) for part in table.split('.'))}"

    def columns(self, query: str) -> list[Column]:
        """What a select gives; the server says so without running it."""
        query = one_select(query)
        try:
            # the protocol takes one statement only, and says what is wrong with it as it stands
            prepared = self._session.pgconn.prepare(b"carelake", query.encode())
            if prepared.status == psycopg.pq.ExecStatus.COMMAND_OK:
                described = self._session.pgconn.describe_prepared(b"carelake")
                types = [described.ftype(n) for n in range(described.nfields)]
                names = [(described.fname(n) or b"").decode() for n in range(described.nfields)]
            else:
                raise psycopg.errors.error_from_result(prepared)
        except psycopg.Error as error:
            raise _sorted_out(error) from None
        if not names:
            raise Refused(0, "database.query gives no rows; write one select")
        nested = {oid for (oid,) in self._rows(
            "select oid::int8 from pg_type where typcategory in ('A', 'C') and oid = any(%s::oid[])",
            (types,),
        )}  # fmt: skip
        columns = [
            Column(name, GROWS.get(oid, Grows.no), _exact(name, oid, nested))
            for name, oid in zip(names, types, strict=True)
        ]
        # who may read is asked when a statement begins: explaining begins it, and reads nothing
        self._rows("explain " + statement(query, columns, Slice(), LITERAL, '"'))
        return columns

    def write(self, query: str, columns: Sequence[Column], part: Slice, path: Path) -> None:
        """Write what a select finds to a Parquet file: one COPY, so all of one moment."""
        text = statement(one_select(query), columns, part, LITERAL, '"')
        with duckdb.connect(config={"threads": 2, "memory_limit": MEMORY}) as con:
            con.execute(f"set temp_directory = {literal(str(path.parent))}")
            con.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false")
            con.execute("set autoinstall_known_extensions = false")
            load_extension(con, "postgres_scanner")
            try:
                self._attach(con)
                con.execute(
                    f"copy (from postgres_query('store', {literal(text)})) "
                    f"to {literal(str(path))} (format parquet)"
                )
            except duckdb.Error as error:
                raise _told_by_duckdb(error) from None

    def count(self, query: str, columns: Sequence[Column], part: Slice) -> int:
        """How many rows a select finds."""
        found = self._rows(counting(query, columns, part, LITERAL, '"'))[0][0]
        assert isinstance(found, int)
        return found

    def _attach(self, con: duckdb.DuckDBPyConnection) -> None:
        # the secret's parts never stand in the text of the attachment, which errors may repeat
        parts = {**self._server, "database": self._server["dbname"], "password": self._password}
        given = ", ".join(
            f"{key} {literal(value)}" for key, value in parts.items() if value and key != "dbname"
        )
        con.execute(f"create temporary secret store (type postgres, {given})")
        con.execute(
            f"attach {literal(make_conninfo(**self._options))} as store "
            "(type postgres, secret store, read_only)"
        )

    def _rows(
        self, text: str, values: tuple[object, ...] | None = None
    ) -> list[tuple[object, ...]]:
        try:
            return self._session.execute(text.encode(), values).fetchall()
        except psycopg.Error as error:
            raise _sorted_out(error) from None


def _exact(name: str, oid: int, nested: set[object]) -> str:
    place = f"q.{quoted(name, chr(34))}"
    if oid in EXACT:
        return place
    if oid == BYTES:
        return f"encode({place}, 'hex')"
    if oid in nested:
        return f"to_json({place})::text"
    return f"{place}::numeric::text" if oid == MONEY else f"{place}::text"


def _sorted_out(error: psycopg.Error) -> Passing | Refused:
    code, said = error.sqlstate, _said(error)
    if code is None:
        if NOT_ADMITTED.search(said) and not PASSES_BY.search(said):
            return Refused(
                0, f"{said}; correct host, database, login and password of the connection"
            )
        return Passing(said)
    if code.startswith(WILL_PASS):
        return Passing(said)
    mend = MENDS.get(code) or MENDS.get(code[:2])
    return Refused(0, f"{said}; {mend}" if mend else said)


def _said(error: psycopg.Error) -> str:
    found = error.diag.message_primary or (str(error).strip() or type(error).__name__)
    return " ".join(found.split())


def _told_by_duckdb(error: duckdb.Error) -> Passing | Refused:
    """What broke off the reading; the query itself was found to be right before."""
    text = str(error)
    _, found, said = text.partition("ERROR:")
    line = said.strip().splitlines()[0] if found else first_line(error)
    if PASSES_BY.search(text) or not found:
        return Passing(f"the reading broke off ({line})")
    return Refused(0, f"{line}; correct database.query")
