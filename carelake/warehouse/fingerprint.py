"""One number per table that changes when any row does, whatever their order."""

from __future__ import annotations

from typing import Any

import duckdb

from carelake.warehouse.connection import ident


def relation_fingerprint(
    con: duckdb.DuckDBPyConnection, relation: str, leave_out: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Row count and the sum of all row hashes of a table or view.

    Args:
        leave_out: columns that hold clock times or run ids.

    Returns:
        `{"rows": int, "sum": str}`; the sum is a 128-bit integer as text.
    """
    names = [row[0] for row in con.execute(f"describe {relation}").fetchall()]
    kept = ", ".join(ident(name) for name in names if name not in leave_out)
    row = con.execute(
        f"select count(*), coalesce(sum(hash({kept})::hugeint), 0) from {relation}"
    ).fetchone()
    assert row is not None
    return {"rows": int(row[0]), "sum": str(row[1])}
