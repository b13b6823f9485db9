"""Tickets and users recorded from a real Zendesk account, through the shapes of kind `zendesk`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from carelake.warehouse.shapes import SHAPES, make_macros

RECORDED = Path(__file__).parents[3] / "shared/data/api_fixtures/zendesk/zenpy_recorded_selected"


def recorded(name: str, key: str) -> list[dict[str, Any]]:
    """Every record of a key in the answers of one recording."""
    path = RECORDED / f"{name}.test_values.json"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    found: list[dict[str, Any]] = []
    stack: list[Any] = [json.loads(path.read_text(encoding="utf-8"))]
    while stack:
        node = stack.pop()
        if isinstance(node, str) and node.startswith("{"):
            node = json.loads(node)
        if isinstance(node, dict):
            if isinstance(node.get(key), list):
                found += [record for record in node[key] if isinstance(record, dict)]
            stack += node.values()
        elif isinstance(node, list):
            stack += node
    return found


@pytest.mark.parametrize(
    ("name", "key", "shape", "wanted"),
    [
        ("TestTicketsPagination", "tickets", "tickets", ("conversation_id", "customer_id", "opened_at")),
        ("TestUsersPagination", "users", "users", ("customer_id", "customer_name", "created_at")),
    ],
)  # fmt: skip
def test_every_recorded_record_becomes_one_row_with_what_the_record_says(
    name: str, key: str, shape: str, wanted: tuple[str, ...]
) -> None:
    records = recorded(name, key)
    assert len(records) > 50
    with duckdb.connect() as con:
        make_macros(con)
        con.execute("create table texts (record json)")
        con.executemany(
            "insert into texts values (?)", [[json.dumps(record)] for record in records]
        )
        sql = (
            (SHAPES / "zendesk" / f"{shape}.sql")
            .read_text(encoding="utf-8")
            .replace("$system", "'z'")
        )
        query = f"with records as (select rowid + 1 as row_number, record from texts) select * from ({sql})"
        columns = [column[0] for column in con.execute(query).description or []]
        rows = [dict(zip(columns, row, strict=True)) for row in con.execute(query).fetchall()]
    staff = [r for r in records if r.get("role") in ("agent", "admin")] if key == "users" else []
    assert len(rows) == len(records) - len(staff)
    by_id = {f"z:{record['id']}": record for record in records}
    for row in rows:
        record = by_id[row[wanted[0]]]
        assert all(row[column] for column in wanted), row
        assert row["updated_at"] == record["updated_at"]
