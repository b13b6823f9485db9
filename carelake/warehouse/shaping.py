"""Files of kinds that know their records: SQL of `carelake/shapes` makes them rows of our entity.

The SQL of a shape reads `records` (`row_number`, and what the file holds, all text) and `settings` (one row),
and gives our columns and `row_number`.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from carelake.source import Source
from carelake.warehouse.call_records import READ, name_columns
from carelake.warehouse.connection import ident, literal
from carelake.warehouse.incoming import Incoming, pointer
from carelake.warehouse.transcript_files import is_lines

SHAPES = Path(__file__).resolve().parents[1] / "shapes"


def shape_file(
    con: duckdb.DuckDBPyConnection, source: Source, incoming: Incoming, name: str
) -> Incoming:
    """One file with our columns before its own.

    Args:
        name: what the file is called at its source.

    Raises:
        UnreadableFile: its columns are not those of the kind.
    """
    if source.shape is None or not source.rule.has_path or not incoming.columns:
        return incoming
    if source.transcripts is not None:
        theirs: dict[str, str] = {}
        read, settings = _transcript(incoming), _transcript_settings(source, name)
    else:
        theirs = name_columns(con, source, incoming)
        read = {column: theirs.get(column, "null::varchar") for column in READ[source.kind]}
        pattern = source.calls.extensions if source.calls else ""
        settings = {"extensions": literal(pattern)}
    places = "".join(f", file.{place}" for place in dict.fromkeys(theirs.values()))
    relation = f"""(
        with
        file as (select *, {incoming.row_number} as __number from {incoming.relation}),
        records as (select __number as row_number, {_listed(read)} from file),
        settings as (select {_listed(settings)}),
        shaped as ({(SHAPES / f"{source.shape}.sql").read_text(encoding="utf-8")})
        select shaped.* replace (file.__number as row_number){places}
        from file left join shaped on file.__number = shaped.row_number)"""
    given = {row[0] for row in con.execute(f"describe from {relation}").fetchall()}
    ours = [column for column in source.columns if column in given]
    rest = {column: place for column, place in theirs.items() if column not in ours}
    columns = {column: ident(column) for column in ours} | rest
    return Incoming(relation, columns, "row_number", incoming.rejects)


def _transcript(incoming: Incoming) -> dict[str, str]:
    if incoming.json_record is None:
        return {"text": "text", "is_json": "is_json"}
    return {"text": f"{incoming.json_record}::varchar", "is_json": "true"}


def _transcript_settings(source: Source, name: str) -> dict[str, str]:
    rules = source.transcripts
    assert rules is not None
    parts = (rules.call_id or "call_id").split(".")
    return {
        "file_name": literal(name),
        "is_one_of_many": str(is_lines(Path(name))).lower(),
        "id_pointer": literal(pointer(parts)),
        "name_pattern": literal(rules.name),
        "customers": _list(rules.customers),
        "agents": _list(rules.agents),
    }


def _listed(expressions: dict[str, str]) -> str:
    return ", ".join(f"{text} as {ident(name)}" for name, text in expressions.items())


def _list(words: list[str]) -> str:
    return f"[{', '.join(literal(word) for word in words)}]"
