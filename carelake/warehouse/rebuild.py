"""Rebuild: drop what is derived, so that the next build makes all of it from what is recorded."""

from __future__ import annotations

from carelake.settings import Context
from carelake.warehouse.build import RECIPE
from carelake.warehouse.connection import connect, write_lock
from carelake.warehouse.recorded import set_state
from carelake.warehouse.schema import DERIVED


def drop_derived(ctx: Context) -> int:
    """Drop every derived schema, at once or not at all; gives the number of tables and views.

    A run that is killed after this finds that there is something to build.
    """
    with write_lock(ctx.home, "drop derived"), connect(ctx.home) as con:
        names = ", ".join(f"'{schema}'" for schema in DERIVED)
        row = con.execute(
            f"select count(*) from information_schema.tables where table_schema in ({names})"
        ).fetchone()
        con.execute("begin")
        for schema in DERIVED:
            con.execute(f"drop schema if exists {schema} cascade")
        set_state(con, "built_marker", "")
        set_state(con, RECIPE, "")
        con.execute("commit")
    return int(row[0]) if row else 0
