"""What `sources.yml` may say of databases and files elsewhere; a wrong block names its mend."""

from __future__ import annotations

import re
from typing import Any

import pytest

from carelake.source import Source

COLUMNS = {"communication_id": "id", "body": "body"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"connection": None}, "connection is missing; add the one with host, login and password"),
        ({"database": {"query": "select 1", "table": "t"}}, "name either a table or a query"),
        ({"database": {"table": "t", "incremental": {"column": "a", "look_back": "soon"}}}, "is no length of time"),
        ({"mode": "snapshot", "database": {"table": "t", "incremental": {"column": "a"}}}, "reads everything"),
        ({"columns": {"body": "body"}}, "what is read twice is told by it"),
        ({"kind": "mysql", "rest": {"url": "https://x"}}, "rest belongs to kind rest"),
        ({"format": "csv"}, "kind postgres reads parquet; remove the key"),
    ],
)  # fmt: skip
def test_a_wrong_block_of_a_database_is_refused_with_its_mend(
    change: dict[str, Any], said: str
) -> None:
    given = {
        "name": "tickets", "kind": "postgres", "connection": "shop", "entity": "communications",
        "columns": COLUMNS, "database": {"table": "tickets"}, **change,
    }  # fmt: skip
    with pytest.raises(ValueError, match=re.escape(said)):
        Source.model_validate(given)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"connection": None}, "connection is missing; add the one with host and database"),
        ({"mongodb": {"collection": ""}}, "at least 1 character"),
        ({"mongodb": {"collection": "t", "incremental": {}}, "mode": "snapshot"}, "reads everything"),
        ({"mongodb": None}, "mongodb is missing; add what kind mongodb needs"),
        ({"path": "x.json"}, "kind mongodb has its own keys: mongodb"),
    ],
)  # fmt: skip
def test_a_wrong_block_of_mongodb_is_refused_with_its_mend(
    change: dict[str, Any], said: str
) -> None:
    given = {
        "name": "tickets", "kind": "mongodb", "connection": "shop", "entity": "communications",
        "columns": COLUMNS, "mongodb": {"collection": "tickets"}, **change,
    }  # fmt: skip
    with pytest.raises(ValueError, match=re.escape(said)):
        Source.model_validate(given)
