"""What is published, as another database is to hold it, and what of that it holds already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from carelake.errors import RunFailed
from carelake.warehouse.banner import banner_text
from carelake.warehouse.connection import ident, insert_rows, literal, now_utc
from carelake.warehouse.parquet import MONTH_OF, UNDATED, Parts
from carelake.warehouse.replicas.columns import Column, Dialect

PUBLICATION = "publication"
PARTS = "publication_parts"
OWN = {
    PUBLICATION: {
        "": "Grain: one row. The version of the marts beside it; all tables of it changed at once.",
        "version": "Number of the publication.",
        "published_at": "When it was published.",
        "as_of": "The moment its figures are for.",
        "banner": "Since when and why newer data is held back; NULL when all is well.",
        "replicated_at": "When this database received it.",
    },
    PARTS: {
        "": "Grain: one row per mart, or per month of a large one: what this database holds of it.",
        "mart": "Name of the mart.",
        "part": "Month (UTC) as in 2024-05, or undated; empty where the mart is one part.",
        "table_name": "Its table here: the mart's name, shortened where it is too long.",
        "shape": "Digest of names, types and comments.",
        "n_rows": "Rows.",
        "fingerprint": "Rows and sum of row hashes; changes when any row does.",
    },
}
"""Tables that a replica has besides the marts, with their comments and those of their columns."""


@dataclass(frozen=True)
class Mart:
    """A table to be held by a replica.

    Attributes:
        relation: where DuckDB finds it.
        target: its name there.
        parts: fingerprint of each part; the one part of a small mart is called ''.
        month_of: column whose month (UTC) names the part, for marts of several parts.
    """

    name: str
    relation: str
    target: str
    columns: tuple[Column, ...]
    comment: str = ""
    parts: Parts = field(default_factory=dict)
    month_of: Column | None = None

    @property
    def shape(self) -> str:
        """Digest of names, types and comments: a table of another shape is written anew."""
        said = [self.target, self.comment]
        said += [f"{c.name} {c.target} {c.target_type} {c.comment}" for c in self.columns]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Held:
    """What a replica says it holds of one mart."""

    target: str
    shape: str
    parts: Parts


@dataclass(frozen=True)
class Change:
    """A mart that has to travel.

    Attributes:
        send: months that travel, None for the whole table.
        keep: months that the replica copies from what it holds.
    """

    mart: Mart
    send: tuple[str, ...] | None = None
    keep: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """For people: the mart, and how many of its months."""
        if self.send is None:
            return self.mart.name
        return f"{self.mart.name} ({len(self.send)} of {len(self.mart.parts)} months)"

    def rows(self) -> int:
        """Rows that travel."""
        chosen = self.mart.parts if self.send is None else self.send
        return sum(int(self.mart.parts[part].split(":")[0]) for part in chosen)


def published_marts(
    con: duckdb.DuckDBPyConnection, said: Mapping[str, Any], dialect: Dialect
) -> list[Mart]:
    """Every mart of an opened publication, by name.

    Args:
        said: the publication's own account, of which `parquet` has the fingerprints.

    Raises:
        RunFailed: a mart is called as a table of ours.
    """
    names = con.execute(
        "select table_name, coalesce(comment, '') from duckdb_tables() "
        "where database_name = 'published' and schema_name = 'marts' order by table_name"
    ).fetchall()
    found = []
    for name, comment in names:
        if name in OWN:
            raise RunFailed(f"mart {name}: a replica has a table of that name; rename the mart")
        # a publication of an earlier Carelake has no fingerprints by part
        parts = said.get("parquet", {}).get(name) or {"": f"0:version {said['version']}"}
        found.append(_mart(con, "published", "marts", name, comment, parts, dialect))
    return found


def own_tables(
    con: duckdb.DuckDBPyConnection, said: Mapping[str, Any], marts: list[Mart], dialect: Dialect
) -> list[Mart]:
    """The two tables that say which version a replica holds, made in DuckDB's memory."""
    con.execute(
        f"create or replace temp table {PUBLICATION} as select {said['version']} as version, "
        f"{literal(said['published_at'])}::timestamptz as published_at, "
        f"{literal(said['as_of'])}::timestamptz as as_of, "
        f"{literal(banner_text(said))}::varchar as banner, "
        f"{literal(now_utc().isoformat())}::timestamptz as replicated_at"
    )
    con.execute(
        f"create or replace temp table {PARTS} (mart varchar, part varchar, table_name varchar, "
        "shape varchar, n_rows bigint, fingerprint varchar)"
    )
    rows = [
        {
            "mart": mart.name,
            "part": part,
            "table_name": mart.target,
            "shape": mart.shape,
            "n_rows": fingerprint.split(":")[0],
            "fingerprint": fingerprint,
        }
        for mart in marts
        for part, fingerprint in sorted(mart.parts.items())
    ]
    insert_rows(con, PARTS, rows)
    found = []
    for name, comments in OWN.items():
        for column, comment in comments.items():
            if column:
                con.execute(f"comment on column temp.{name}.{column} is {literal(comment)}")
        found.append(_mart(con, "temp", "main", name, comments[""], {}, dialect))
    return found


def changes(marts: list[Mart], held: Mapping[str, Held]) -> list[Change]:
    """What has to travel so that a replica holds these marts."""
    found = []
    for mart in marts:
        before = held.get(mart.name)
        same = before is not None and before.shape == mart.shape
        known = before.parts if before and same else {}
        if known == mart.parts:
            continue
        keep = tuple(part for part in mart.parts if part and known.get(part) == mart.parts[part])
        if keep and mart.month_of and "" not in known:
            send = tuple(part for part in mart.parts if part not in keep)
            found.append(Change(mart, send, keep))
        else:
            found.append(Change(mart))
    return found


def selection(mart: Mart, months: tuple[str, ...] | None, values: str) -> str:
    """DuckDB's query for a mart, or for some of its months."""
    query = f"select {values} from {mart.relation}"
    if months is None or mart.month_of is None:
        return query
    month = f"coalesce(strftime({ident(mart.month_of.name)}, '%Y-%m'), '{UNDATED}')"
    return f"{query} where {month} in ({', '.join(literal(part) for part in months)})"


def publication_of(folder: Path) -> dict[str, Any]:
    """What a published version says of itself."""
    content: dict[str, Any] = json.loads((folder / "publication.json").read_text(encoding="utf-8"))
    return content


def _mart(
    con: duckdb.DuckDBPyConnection,
    database: str,
    schema: str,
    name: str,
    comment: str,
    parts: Parts,
    dialect: Dialect,
) -> Mart:
    rows = con.execute(
        "select column_name, data_type, coalesce(comment, '') from duckdb_columns() "
        f"where database_name = {literal(database)} and schema_name = {literal(schema)} "
        f"and table_name = {literal(name)} order by column_index"
    ).fetchall()
    columns = tuple(dialect.column(*row) for row in rows)
    month_of = next((c for c in columns if c.name == MONTH_OF.get(name) and "" not in parts), None)
    relation = f"{database}.{schema}.{ident(name)}"
    return Mart(name, relation, dialect.named(name), columns, comment, dict(parts), month_of)
