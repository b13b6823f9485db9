"""Kind `mongodb`: read a collection, land its documents as JSON lines.

The cursor holds the newest value of the incremental field, and what the documents of the look-back
looked like: they are read each time, and landed when one of them is new or another than before.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from bson.codec_options import DatetimeConversion
from bson.objectid import ObjectId
from pymongo import MongoClient
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
)

from carelake.errors import ConfigError
from carelake.setting_groups.base import as_time
from carelake.source import Source
from carelake.source_kinds.database import LOOK_BACK_OF_NUMBERS, LOOK_BACK_OF_TIMES
from carelake.source_kinds.mongodb import MongoSettings
from carelake.sources.batches import ExtractResult, Place, begin_extract, write_batch
from carelake.sources.connections import Connection, find_connection
from carelake.sources.counting import Counted
from carelake.sources.patience import Passing, Refused, patiently, told
from carelake.sources.plain_json import iso, line_of
from carelake.sql_text import literal
from carelake.window import EVERYTHING, Window

PROBE_DOCUMENTS = 100
BATCH = 2000
PORT = 27017
OPTIONS = (
    "authSource", "authMechanism", "replicaSet", "tls", "tlsCAFile", "readPreference",
    "directConnection",
)  # fmt: skip
"""What the connection's extra may hold."""
WILL_PASS = frozenset(
    {6, 7, 43, 50, 89, 91, 175, 189, 202, 237, 262, 9001, 10107, 11600, 11602, 13435, 13436, 16500}
)
"""Codes of a server that is away, busy or changing its primary, and of a cursor that is gone."""
MENDS = {
    13: "grant the role `read` on the database to the connection's login",
    18: "correct login, password and authSource of the connection",
    8000: "correct login, password and authSource of the connection",
    2: "correct mongodb.filter or mongodb.projection",
}
TYPES: dict[type, str] = {ObjectId: "id", dt.datetime: "date", int: "number"}
Bound = ObjectId | dt.datetime | int


@dataclass
class Documents:
    """What was read.

    Attributes:
        kinds: of the incremental field: id, date, number, or the name of another type.
    """

    path: Path
    asked: dict[str, Any]
    clock: dt.datetime
    kinds: set[str] = field(default_factory=set)
    n_documents: int = 0
    tries: int = 1
    seconds: float = 0.0


def extract(
    source: Source,
    base: Path,
    landing: Path,
    window: Window = EVERYTHING,
    *,
    is_probe: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> ExtractResult:
    """Land what is new since the last reading, or in a window; without `incremental` everything.

    Args:
        window: documents whose incremental field lies in it; the cursor stays where it is.
        is_probe: read a few documents only.
        sleep: waits so many seconds between tries.
    """
    rule = _settings(source)
    connection: Connection | None = None
    with begin_extract(landing, source.name) as place:
        try:
            connection = find_connection(source.connection or "")
            tries = patiently(rule.attempts, sleep)
            found = tries(_read, source, connection, place, window, is_probe)
            found.tries = tries.statistics["attempt_number"]
            return _land(source, found, place, window)
        except (Passing, Refused, ConfigError) as error:
            return ExtractResult(
                source.name,
                "failed",
                message=told(source.connection, connection, error, rule.attempts),
            )


def count(source: Source, base: Path) -> Counted | None:
    """How many documents there are, of those we read.

    Raises:
        Passing, Refused: the database does not answer.
        ConfigError: the connection is missing or lacks something.
    """
    rule, connection = _settings(source), find_connection(source.connection or "")
    asked = _asked(source, {}, EVERYTHING)
    query = {"$and": [rule.filter or {}, asked]} if asked else rule.filter or {}
    try:
        with _client(connection) as client:
            found = client[connection.need("database")][rule.collection].count_documents(query)
    except PyMongoError as error:
        raise _sorted_out(error) from None
    return Counted(
        found, f"from {rule.incremental.initial} on" if asked and rule.incremental else "all"
    )


def _read(
    source: Source, connection: Connection, place: Place, window: Window, is_probe: bool
) -> Documents:
    """Read once, from the beginning."""
    began, rule = time.monotonic(), _settings(source)
    asked = _asked(source, place.cursor, window)
    try:
        with _client(connection) as client:
            database = client[connection.need("database")]
            clock = client.admin.command("hello").get("localTime") or dt.datetime.now(dt.UTC)
            found = Documents(place.draft / "documents.jsonl", asked, clock)
            if rule.collection not in database.list_collection_names():
                raise Refused(
                    0, f"there is no collection {rule.collection}; correct mongodb.collection"
                )
            query = (
                {"$and": [rule.filter, asked]} if rule.filter and asked else asked or rule.filter
            )
            most = PROBE_DOCUMENTS if is_probe else 0
            cursor = database[rule.collection].find(
                query, rule.projection, batch_size=BATCH, limit=most
            )
            _write(cursor, found, rule)
    except PyMongoError as error:
        raise _sorted_out(error) from None
    found.seconds = time.monotonic() - began
    return found


def _client(connection: Connection) -> MongoClient[dict[str, Any]]:
    host = connection.need("host")
    if connection.schema == "mongodb+srv" or connection.extra.get("srv"):
        host = f"mongodb+srv://{host}"
    options = {key: connection.extra[key] for key in OPTIONS if key in connection.extra}
    if connection.login:
        options |= {"username": connection.login, "password": connection.password}
        options.setdefault("authSource", connection.database)
    return MongoClient(
        host,
        connection.port or PORT,
        appname="carelake",
        tz_aware=True,
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
        uuidRepresentation="standard",
        serverSelectionTimeoutMS=20_000,
        connectTimeoutMS=20_000,
        socketTimeoutMS=600_000,
        **options,
    )


def _write(documents: Iterable[dict[str, Any]], found: Documents, rule: MongoSettings) -> None:
    path = rule.incremental.field.split(".") if rule.incremental else []
    with found.path.open("w", encoding="utf-8") as file:
        for document in documents:
            file.write(line_of(document) + "\n")
            found.n_documents += 1
            if path and (value := _member(document, path)) is not None:
                found.kinds.add(TYPES.get(type(value), type(value).__name__))


def _member(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    return int(document) if isinstance(document, int) else document


def _asked(source: Source, cursor: dict[str, Any], window: Window) -> dict[str, Any]:
    """The condition that tells new documents from old ones."""
    rule = _settings(source).incremental
    if rule is None:
        if window:
            raise ConfigError("reads everything each time; a window needs mongodb.incremental")
        return {}
    kind = cursor.get("kind") if cursor.get("field") == rule.field else None
    if window:
        is_id = kind == "id" or (kind is None and rule.field == "_id")
        ends = {"$gte": window.since, "$lt": window.until}
        return {rule.field: {
            end: ObjectId.from_datetime(moment) if is_id else moment
            for end, moment in ends.items() if moment is not None
        }}  # fmt: skip
    if kind is None:
        if rule.initial is None:
            return {}
        since: Bound = rule.initial
        if isinstance(since, dt.datetime) and rule.field == "_id":
            since = ObjectId.from_datetime(since)
    else:
        since = _before(_known(cursor["newest"], kind), _look_back(source, kind))
    # a document without the field is read every time
    return {"$or": [{rule.field: {"$gte": since}}, {rule.field: None}]}


def _known(text: str, kind: str) -> Bound:
    if kind == "id":
        return ObjectId(text)
    return dt.datetime.fromisoformat(text) if kind == "date" else int(text)


def _before(newest: Bound, look_back: int | dt.timedelta) -> Bound:
    if isinstance(newest, int):
        assert isinstance(look_back, int)
        return newest - look_back
    assert isinstance(look_back, dt.timedelta)
    if isinstance(newest, dt.datetime):
        return newest - look_back
    return ObjectId.from_datetime(newest.generation_time - look_back)


def _look_back(source: Source, kind: str) -> int | dt.timedelta:
    rule = _settings(source).incremental
    given = rule.look_back if rule else None
    if given is None:
        given = LOOK_BACK_OF_NUMBERS if kind == "number" else LOOK_BACK_OF_TIMES
    if isinstance(given, int) != (kind == "number"):
        raise ConfigError(
            "incremental.look_back does not fit; write 1h for dates and ObjectIds, 1000 for numbers"
        )
    return given if isinstance(given, int) else as_time(given)


def _land(source: Source, found: Documents, place: Place, window: Window) -> ExtractResult:
    if not found.n_documents and (place.cursor or source.mode == "append"):
        left = "; there are none, what was loaded stays" if source.mode == "snapshot" else ""
        return ExtractResult(source.name, "nothing_new", message=f"nothing new{left}")
    after = place.cursor if window else _cursor_after(source, found, place.cursor)
    if not window:
        recent = after["recent"]
        if place.cursor.get("recent") == recent and found.n_documents == recent["documents"]:
            return ExtractResult(source.name, "nothing_new", message="nothing new")
    manifest = write_batch(
        place.landing,
        source,
        [(found.path.name, found.path)],
        number=place.number,
        extracted_at=dt.datetime.now(dt.UTC),
        cursor_before=place.cursor,
        cursor_after=after,
        window=window,
        details={
            "asked": line_of(found.asked),
            "records": found.n_documents,
            "requests": found.tries,
            "seconds": round(found.seconds, 3),
        },
    )
    n_bytes = sum(file.n_bytes for file in manifest.files)
    message = f"{found.n_documents:,} documents, {n_bytes:,} bytes"
    return ExtractResult(source.name, "extracted", [manifest.batch_id], 1, n_bytes, message)


def _cursor_after(source: Source, found: Documents, before: dict[str, Any]) -> dict[str, Any]:
    rule = _settings(source).incremental
    with duckdb.connect(config={"threads": 2}) as con:
        lines = (
            f"read_csv({literal(str(found.path))}, columns = {{line: 'varchar'}}, delim = '\\x01', "
            "quote = '', escape = '', header = false, auto_detect = false, "
            "max_line_size = 200000000, parallel = false)"
        )
        if rule is None or not found.kinds:
            return {**before, "recent": _looks(con, lines, "")}
        if len(found.kinds) > 1 or not found.kinds & set(TYPES.values()):
            raise Refused(
                0,
                f"incremental.field {rule.field} holds {' and '.join(sorted(found.kinds))}; "
                "name one of ObjectIds, dates or whole numbers",
            )
        (kind,) = found.kinds
        place = literal("/" + rule.field.replace("~", "~0").replace("/", "~1").replace(".", "/"))
        value = f"json_extract_string(line, {place})"
        if kind == "number":
            value = f"try_cast({value} as hugeint)"
        # a document from the future does not carry the cursor there
        ahead = {"id": str(ObjectId.from_datetime(found.clock + dt.timedelta(seconds=1))),
                 "date": iso(found.clock)}.get(kind)  # fmt: skip
        limit = f"where {value} <= {literal(ahead)}" if ahead else ""
        (newest,) = con.execute(f"select max({value}) from {lines} {limit}").fetchone() or (None,)
        if before.get("kind") == kind and before.get("field") == rule.field:
            known = before["newest"] if kind != "number" else int(before["newest"])
            newest = known if newest is None else max(newest, known)
        if newest is None:
            return {"recent": _looks(con, lines, "")}
        edge = _before(_known(str(newest), kind), _look_back(source, kind))
        told = iso(edge) if isinstance(edge, dt.datetime) else str(edge)
        form = literal(told) if kind != "number" else told
        recent = _looks(con, lines, f"where {value} >= {form} or {value} is null")
    return {"field": rule.field, "kind": kind, "newest": str(newest), "recent": recent}


def _looks(con: duckdb.DuckDBPyConnection, lines: str, where: str) -> dict[str, Any]:
    """What some documents look like, in whichever order they came."""
    n_documents, digest = con.execute(
        f"select count(*), coalesce(sum(hash(line)), 0) from {lines} {where}"
    ).fetchone() or (0, 0)
    return {"documents": n_documents, "digest": f"{int(digest):x}"}


def _settings(source: Source) -> MongoSettings:
    assert source.mongodb is not None
    return source.mongodb


def _sorted_out(error: PyMongoError) -> Passing | Refused:
    said = " ".join(str(error).split())[:300]
    if isinstance(error, OperationFailure):
        code, said = error.code or 0, (error.details or {}).get("errmsg") or said
        if code in WILL_PASS:
            return Passing(said)
        return Refused(0, f"{said}; {MENDS[code]}" if code in MENDS else said)
    if isinstance(error, ConfigurationError):
        return Refused(0, f"{said}; correct the connection")
    if isinstance(error, AutoReconnect | ConnectionFailure):
        return Passing(said)
    return Refused(0, said)
