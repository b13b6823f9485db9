"""A warehouse with two small marts, as a build would leave it: enough to publish."""

from __future__ import annotations

import json

import duckdb

from carelake.settings import Context
from carelake.warehouse.published import read_only

ROWS = 2000


def make(ctx: Context) -> None:
    """Give a new home its first edition, and the manifest that publishing reads."""
    target = ctx.home.dbt / "target"
    target.mkdir(parents=True, exist_ok=True)
    columns = {"id": {}, "edition": {}, "made_at": {"config": {"meta": {"volatile": True}}}}
    nodes = {
        name: {"resource_type": "model", "schema": "marts", "name": name, "columns": columns}
        for name in ("notes", "replies")
    }
    (target / "manifest.json").write_text(json.dumps({"nodes": nodes}))
    with duckdb.connect(str(ctx.home.warehouse)) as con:
        con.execute("create schema marts; create schema intermediate")
        con.execute(
            "create table intermediate.int_as_of as select timestamptz '2024-05-01 00:00:00+00' as as_of"
        )
        for model in ("int_contact_vault", "int_communication_texts"):
            con.execute(f"create table intermediate.{model} as select 'secret' as value")
    write(ctx, 1)


def write(ctx: Context, edition: int) -> None:
    """Build an edition: every row of both marts bears its number, and there are more each time."""
    with duckdb.connect(str(ctx.home.warehouse)) as con:
        for name in ("notes", "replies"):
            con.execute(
                f"create or replace table marts.{name} as select range as id, {edition} as edition, "
                f"now() as made_at from range({ROWS + edition})"
            )
        con.execute("comment on column marts.notes.edition is 'It''s the edition'")


def edition(ctx: Context) -> int:
    """The edition that readers see."""
    with read_only(ctx.home) as con:
        row = con.execute("select distinct edition from notes").fetchone()
        assert row is not None
        return int(row[0])


def block(ctx: Context, reason: str) -> None:
    """What a failed gate leaves in the warehouse; '' ends it."""
    with duckdb.connect(str(ctx.home.warehouse)) as con:
        con.execute("insert or replace into ops.state values ('publish_blocked', ?)", [reason])
