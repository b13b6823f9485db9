"""Shapes: the SQL that makes rows of ours out of a service's records, one file per object.

A shape reads the relation `records` (`row_number`, `record` as JSON) of one landed file and gives
columns named as those of its entity, all text, with `row_number`, and `record` where a row has
members of its own to keep. It may use the variables below, and the macros of `shapes/macros.sql`.

A shape that also reads what stands beside the records on their page (who wrote them, say) finds the page's
number in `records.page_number`, and in the relation `pages` (`page_number`, `page`) a JSON object of
those members by their dotted paths.
"""

from __future__ import annotations

from pathlib import Path

from duckdb import DuckDBPyConnection

from carelake.entities import ENTITIES
from carelake.source import Source
from carelake.source_parts import Part
from carelake.warehouse.connection import ident, literal
from carelake.warehouse.incoming import Incoming, pointer
from carelake.warehouse.staging import Staging

SHAPES = Path(__file__).parents[1] / "shapes"


def make_macros(con: DuckDBPyConnection) -> None:
    """Make what shapes share, for this connection."""
    con.execute((SHAPES / "macros.sql").read_text(encoding="utf-8"))


def shaped(
    con: DuckDBPyConnection, source: Source, landed_at: str, incoming: Incoming, staging: Staging
) -> Incoming:
    """Rows of ours instead of a file's records.

    Args:
        landed_at: when the file was landed, in ISO; `$landed_at` in a shape.
        incoming: the file as records.
        staging: where they are staged.
    """
    text = (SHAPES / f"{source.shape}.sql").read_text(encoding="utf-8")
    for name, value in _variables(source, landed_at).items():
        text = text.replace(f"${name}", literal(value))
    page, pages = "", ""
    if isinstance(source, Part) and source.beside:
        page, pages = ", __page as page_number", f", pages as (from {staging.pages})"
    relation = f"""(
        with records as (
            select __row as row_number, __json::json as record{page} from {staging.staged()}
        ){pages}
        select * from (
{text}
        ))"""
    found = con.execute(f"describe from {relation}").fetchall()
    given = {row[0] for row in found}
    known = ENTITIES[source.entity] if source.entity else ()
    columns = {name: ident(name) for name in known if name in given}
    for attribute in source.attributes:
        place = literal(pointer(attribute.name.split(".")))
        columns[attribute.name] = f"json_extract_string(record, {place})"
    return Incoming(
        relation,
        columns,
        "row_number",
        incoming.rejects,
        json_record="record",
        theirs=list(incoming.columns),
    )


def _variables(source: Source, landed_at: str) -> dict[str, str]:
    """What a shape may name: `$system`, the block's name, and what a person said of it."""
    known = {"system": source.block, "landed_at": landed_at}
    return known | {"object": source.object, **source.said} if isinstance(source, Part) else known
