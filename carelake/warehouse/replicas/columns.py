"""A column of a mart and what becomes of it in another database: name, type, value sent."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from carelake.warehouse.connection import ident


class Kind(StrEnum):
    """What a value is, whatever a database calls its type; `wide` numbers are too long to be summed."""

    integer = "integer"
    decimal = "decimal"
    wide = "wide"
    float = "float"
    flag = "flag"
    text = "text"
    json = "json"
    nested = "nested"
    moment = "moment"
    local = "local"
    day = "day"
    clock = "clock"
    bytes = "bytes"


@dataclass(frozen=True)
class Column:
    """A column here (`name`) and there (`target`, `target_type`)."""

    name: str
    kind: Kind
    target: str
    target_type: str
    comment: str = ""


@dataclass(frozen=True)
class Dialect:
    """What two databases call differently.

    Attributes:
        types: type per kind; `{}` takes the digits of a decimal.
        integers: type per DuckDB integer type.
        longest: length of the longest name.
        in_bytes: whether that counts bytes, else characters.
        mark: the quote around names.
        forbidden: names that no column may have.
    """

    types: dict[Kind, str]
    integers: dict[str, str]
    longest: int
    in_bytes: bool
    mark: str
    forbidden: frozenset[str] = frozenset()

    def ident(self, name: str) -> str:
        """A name as an identifier."""
        return self.mark + name.replace(self.mark, self.mark * 2) + self.mark

    def named(self, name: str) -> str:
        """A name as it can be there: too long or impossible, it is cut and ends in a digest."""
        fitting = re.sub("[\U00010000-\U0010ffff\x00]", "_", name).rstrip()
        length = len(fitting.encode()) if self.in_bytes else len(fitting)
        if fitting == name and length <= self.longest and name.lower() not in self.forbidden:
            return name
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        room = self.longest - 9
        if self.in_bytes:
            return fitting.encode()[:room].decode(errors="ignore") + "_" + digest
        return fitting[:room] + "_" + digest

    def column(self, name: str, duckdb_type: str, comment: str = "") -> Column:
        """A column of a mart as it will be there."""
        kind = kind_of(duckdb_type)
        if duckdb_type in self.integers:
            target_type = self.integers[duckdb_type]
        elif duckdb_type.startswith("DECIMAL("):
            target_type = self.types[Kind.decimal].format(duckdb_type.removeprefix("DECIMAL"))
        else:
            target_type = self.types[kind]
        return Column(name, kind, self.named(name), target_type, comment)


SUMMED_DIGITS = 28
"""Digits of a decimal whose sum over ten thousand million rows still fits into 38."""
INTEGERS = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
)  # fmt: skip
KINDS = {
    **dict.fromkeys(INTEGERS, Kind.integer),
    "HUGEINT": Kind.wide,
    "UHUGEINT": Kind.wide,
    "FLOAT": Kind.float,
    "DOUBLE": Kind.float,
    "BOOLEAN": Kind.flag,
    "JSON": Kind.json,
    "TIMESTAMP WITH TIME ZONE": Kind.moment,
    "TIMESTAMP": Kind.local,
    "TIMESTAMP_S": Kind.local,
    "TIMESTAMP_MS": Kind.local,
    "TIMESTAMP_NS": Kind.local,
    "DATE": Kind.day,
    "TIME": Kind.clock,
    "BLOB": Kind.bytes,
}


def kind_of(duckdb_type: str) -> Kind:
    """The kind of a DuckDB type; lists, structs and maps are JSON, what is left over is text."""
    if duckdb_type.endswith("]") or duckdb_type.startswith(("STRUCT(", "MAP(", "UNION(")):
        return Kind.nested
    if duckdb_type.startswith("DECIMAL("):
        digits = int(duckdb_type.removeprefix("DECIMAL(").split(",")[0])
        return Kind.decimal if digits <= SUMMED_DIGITS else Kind.wide
    return KINDS.get(duckdb_type, Kind.text)


def sent(column: Column) -> str:
    """DuckDB's expression for the value that travels.

    No other database takes a zero character in a text, so it is taken out; in JSON, where it is
    written `\\u0000`, the replacement character takes its place.
    """
    name = ident(column.name)
    if column.kind is Kind.text:
        return f"replace({name}::varchar, chr(0), '')"
    if column.kind in (Kind.json, Kind.nested):
        text = f"{name}::varchar" if column.kind is Kind.json else f"to_json({name})::varchar"
        return f"replace({text}, '\\u0000', '\\ufffd')"
    if column.kind is Kind.local:
        return f"{name}::timestamp"
    if column.kind is Kind.float:
        return f"{name}::double"
    if column.kind is Kind.wide:  # a HUGEINT would travel as a double
        return f"{name}::{column.target_type}"
    return name
