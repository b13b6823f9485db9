"""What dbt's DuckDB connections need before a model runs: the pepper, UTC, and `e164`."""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection

from carelake.warehouse.phone import e164

# a pattern that is a constant is read once; from a table it would be read once per text
NEED_PATTERN = r"""
    set variable need_pattern = coalesce((
        select string_agg(if(kind = 'en', '\b', '') || regexp_escape(word), '|' order by length(word) desc, word)
        from ops.need_rules
        where kind in ('en', 'zh')
    ), '[^\s\S]')
"""


class Plugin(BasePlugin):
    """Prepare every connection and cursor that dbt opens on the warehouse.

    Errors:
        RuntimeError: `CARELAKE_PEPPER` is not set. Keys made without it could be guessed back.
    """

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Register `e164(number, region)`: E.164 text, or NULL when it is no valid number."""
        conn.create_function(  # type: ignore[call-overload]  # the stubs forget arrow functions
            "e164",
            to_e164,
            ["VARCHAR", "VARCHAR"],
            "VARCHAR",
            type="arrow",
            null_handling="special",
        )

    def configure_cursor(self, cursor: Any) -> None:
        """Give the cursor what it does not inherit: a variable lives in one cursor only."""
        pepper = os.environ.get("CARELAKE_PEPPER", "")
        if not pepper:
            raise RuntimeError("CARELAKE_PEPPER is not set: keys cannot be made without it")
        cursor.execute("set variable pepper = ?", [pepper])
        cursor.execute("set TimeZone = 'UTC'")
        cursor.execute(NEED_PATTERN)


def to_e164(numbers: pa.ChunkedArray, regions: pa.ChunkedArray) -> pa.Array:
    """Write phone numbers the one international way.

    Args:
        numbers: Numbers as people wrote them; NULL allowed.
        regions: The ISO country each one was written in, used when it has no country code.

    Returns:
        One `+<country><number>` per row; NULL for what is no valid number, extensions included.
    """
    pairs = zip(numbers.to_pylist(), regions.to_pylist(), strict=True)
    return pa.array([e164(number, region) for number, region in pairs], type=pa.string())
