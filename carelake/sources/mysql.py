"""MySQL and MariaDB: rows travel one by one through a read-only transaction, and are batched by Arrow.

DuckDB's scanner is faster, but runs queries outside its read-only transaction, and bends values:
dates with a zero in them, decimals beyond 38 digits, numbers in tinyint(1).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pymysql
from pymysql.constants import FIELD_TYPE
from pymysql.cursors import SSCursor

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

PORT = 3306
ROWS = 20_000
"""Rows that are in memory at a time."""
SILENCE = 3600
"""Seconds a server may take before the first row of a query that sorts, say."""
SMALL = {FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.YEAR}
MOMENTS, LOCALS = {FIELD_TYPE.TIMESTAMP}, {FIELD_TYPE.DATETIME, FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE}
NUMBERS = {*SMALL, FIELD_TYPE.LONGLONG, FIELD_TYPE.NEWDECIMAL}
TYPES: dict[int, pa.DataType] = {
    **dict.fromkeys(SMALL, pa.int64()),
    FIELD_TYPE.LONGLONG: pa.decimal128(20, 0),  # bigint, signed or not
    FIELD_TYPE.FLOAT: pa.float64(),
    FIELD_TYPE.DOUBLE: pa.float64(),
}
LITERAL = {Grows.number: "{}", Grows.moment: "'{}'", Grows.local: "'{}'"}
WILL_PASS = frozenset(
    {1040, 1053, 1077, 1079, 1129, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1205, 1213, 1226, 1317,
     1412, 1836, 1927, 1969, 2002, 2003, 2006, 2013, 2055, 3024, 4031}
)  # fmt: skip
"""Codes of a server that is away, full, busy or ended our session."""
TRUST = "correct sslrootcert in the extra of the connection, or the server's certificate"
MENDS = {
    1044: "let an administrator grant select on it to the connection's login",
    1045: "correct login and password of the connection",
    1049: "correct the database (schema) of the connection",
    1054: "correct the query, or incremental.column",
    1060: "give each column of the query a name of its own",
    1064: "correct database.query; it is one select",
    1142: "let an administrator grant select on it to the connection's login",
    1143: "let an administrator grant select on it to the connection's login",
    1146: "correct database.table or the query",
    1698: "correct login and password of the connection",
    1792: "a query may only read; correct it",
}


class MySQL:
    """A database of MySQL 5.7, MariaDB 10.3, or newer."""

    def __init__(self, connection: Connection) -> None:
        host, port, user = need_server(connection, PORT)
        try:
            self._session = pymysql.connect(
                host=host,
                port=port,
                user=user,
                password=connection.password,
                database=connection.need("database"),
                charset="utf8mb4",
                connect_timeout=CONNECT_SECONDS,
                read_timeout=SILENCE,
                program_name="carelake",
                cursorclass=SSCursor,
                # without decoders every value comes as the server writes it
                conv=dict(pymysql.converters.encoders),
                **_tls(connection.extra),
            )
            self._do("set time_zone = '+00:00', net_write_timeout = 600")
            self._do("set session transaction isolation level repeatable read")
            self._do("start transaction with consistent snapshot, read only")
        except (pymysql.MySQLError, OSError) as error:
            raise _sorted_out(error) from None

    def close(self) -> None:
        """End the session; unread rows stay where they are."""
        with contextlib.suppress(pymysql.err.Error):  # it may be gone
            self._session.close()

    def now(self) -> dt.datetime:
        """The server's clock."""
        with self._cursor() as cursor:
            cursor.execute("select utc_timestamp(6)")
            (found,) = cursor.fetchone()
            cursor.fetchall()
        return dt.datetime.fromisoformat(found).replace(tzinfo=dt.UTC)

    def relation(self, table: str) -> str:
        """A select of everything in a table."""
        return f"select * from {'.'.join(quoted(part, '`') for part in table.split('.'))}"

    def columns(self, query: str) -> list[Column]:
        """What a select gives; nothing of it is read."""
        try:
            with self._cursor() as cursor:
                cursor.execute(f"select * from (\n{one_select(query)}\n) as q limit 0")
                described = list(cursor.description or [])
                cursor.fetchall()
        except (pymysql.MySQLError, OSError) as error:
            raise _sorted_out(error) from None
        return [Column(c[0], _grows(c), _exact(c[0], c[1])) for c in described]

    def write(self, query: str, columns: Sequence[Column], part: Slice, path: Path) -> None:
        """Write what a select finds to a Parquet file, all of the moment the session began."""
        try:
            with self._cursor() as cursor:
                cursor.execute(statement(one_select(query), columns, part, LITERAL, "`"))
                described = list(cursor.description or [])
                schema = pa.schema([(c[0], TYPES.get(c[1], pa.string())) for c in described])
                with pq.ParquetWriter(path, schema) as writer:
                    while rows := cursor.fetchmany(ROWS):
                        values = zip(*rows, strict=True)
                        arrays = [_array(v, c[1]) for v, c in zip(values, described, strict=True)]
                        writer.write_batch(pa.record_batch(arrays, schema=schema))
        except (pymysql.MySQLError, OSError) as error:
            raise _sorted_out(error) from None

    def count(self, query: str, columns: Sequence[Column], part: Slice) -> int:
        """How many rows a select finds."""
        try:
            with self._cursor() as cursor:
                cursor.execute(counting(query, columns, part, LITERAL, "`"))
                (found,) = cursor.fetchone()
                cursor.fetchall()
        except (pymysql.MySQLError, OSError) as error:
            raise _sorted_out(error) from None
        return int(found)

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Any]:
        cursor = self._session.cursor()
        try:
            yield cursor
            cursor.close()
        finally:
            # closing, and forgetting, reads what is left, which fails where the connection has:
            # neither must be tried
            cursor.connection = None
            if cursor._result is not None:
                cursor._result.unbuffered_active = False

    def _do(self, text: str) -> None:
        with self._cursor() as cursor:
            cursor.execute(text)


def _tls(extra: dict[str, Any]) -> dict[str, Any]:
    mode, ca = str(extra.get("sslmode", "prefer")), extra.get("sslrootcert")
    if mode == "prefer" and not ca:
        return {}  # the driver's own way: TLS where the server has it
    if mode == "disable":
        return {"ssl_disabled": True}
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    except (OSError, ssl.SSLError) as error:
        raise Refused(0, f"{ca}: no certificate can be read there; {TRUST}") from error
    context.check_hostname = mode == "verify-full"
    if mode in ("prefer", "require"):
        context.verify_mode = ssl.CERT_NONE
    return {"ssl": context}


def _grows(described: tuple[Any, ...]) -> Grows:
    code, scale = described[1], described[5]
    if code in MOMENTS:
        return Grows.moment
    if code in LOCALS:
        return Grows.local
    return Grows.number if code in NUMBERS and not scale else Grows.no


def _exact(name: str, code: int) -> str:
    place = f"q.{quoted(name, '`')}"
    if code == FIELD_TYPE.BIT:
        return f"({place} + 0)"
    return f"st_astext({place})" if code == FIELD_TYPE.GEOMETRY else place


def _array(values: tuple[str | bytes | None, ...], code: int) -> pa.Array:
    if any(isinstance(value, bytes) for value in values):
        return pa.array([value.hex() if isinstance(value, bytes) else value for value in values])
    texts = pa.array(values, pa.string())
    if code in MOMENTS or code in LOCALS:
        # a date of zeros is this server's way to say: none
        texts = pc.if_else(pc.starts_with(texts, "0000-00-00"), None, texts)
        return pc.binary_join_element_wise(texts, "Z", "") if code in MOMENTS else texts
    return texts.cast(TYPES.get(code, pa.string()))


def _sorted_out(error: Exception) -> Passing | Refused:
    # the driver wraps it as an error of the network
    reason = getattr(error, "original_exception", error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Refused(0, f"its certificate is not trusted ({reason.verify_message}); {TRUST}")
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    said = " ".join(str(error.args[-1] if error.args else error).split()) or type(error).__name__
    if code in WILL_PASS or isinstance(error, OSError) or (code == 0 and "closed" in said):
        return Passing(said)
    if isinstance(error, pymysql.err.InterfaceError):
        return Passing(said)
    return Refused(0, f"{said}; {MENDS[code]}" if code in MENDS else said)
