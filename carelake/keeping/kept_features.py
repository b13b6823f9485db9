"""Feature files kept for `train --from-run`: they go with the rows they hold.

They have masked texts and hashed keys of customers. As soon as one of their conversations, texts or
customers is in no feature of the last build any more, or one of their texts is older than
`retention:` allows, the whole folder goes: with rows taken out, the run it is kept for could not be
repeated either. A backup made before has it still.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb

from carelake.settings import Home
from carelake.warehouse.connection import has_table, literal

TABLES = {
    "conversations": ("features_conversations", "conversation_key"),
    "sentiment": ("features_sentiment", "sentiment_key"),
    "customers": ("features_customers", "customer_key"),
}
"""File -> the table of the newest build it is held against, and their key."""
TEXTS = (
    ("conversations", "communications", "text is not null and opened_at"),
    ("conversations", "survey_responses", "comment is not null and label_at"),
    ("sentiment", "communications", "told_by = 'message' and told_at"),
    ("sentiment", "survey_responses", "told_by = 'survey' and told_at"),
)
"""File, whose age limit its texts have, and what says how old a text is."""


def outdated(home: Home, con: duckdb.DuckDBPyConnection) -> Iterator[Path]:
    """Kept folders that hold something of which the last build knows nothing any more.

    None where nothing was built, or derived tables were just dropped: nobody knows then.
    """
    if not all(has_table(con, "features", table) for table, _ in TABLES.values()):
        return
    limits = _limits(con)
    for folder in sorted(home.kept_features.glob("*")):
        if folder.is_dir() and folder.suffix != ".part" and _is_outdated(con, folder, limits):
            yield folder


def _limits(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    if not has_table(con, "staging", "stg_retention"):
        return {}
    rows = con.execute("select entity, keep_from from staging.stg_retention").fetchall()
    return {entity: f"{literal(moment.isoformat())}::timestamptz" for entity, moment in rows}


def _is_outdated(con: duckdb.DuckDBPyConnection, folder: Path, limits: dict[str, str]) -> bool:
    for name, (table, key) in TABLES.items():
        path = folder / f"{name}.parquet"
        if not path.exists():
            continue  # an earlier Carelake wrote fewer files
        known = f"select {key} from features.{table}"
        if name == "customers" and has_table(con, "marts", "customer_redirects"):
            known += " union all select old_customer_key from marts.customer_redirects"
        if _any(con, path, f"{key} not in ({known})"):
            return True
    return any(
        _any(con, folder / f"{name}.parquet", f"{condition} < {limits[entity]}")
        for name, entity, condition in TEXTS
        if entity in limits and (folder / f"{name}.parquet").exists()
    )


def _any(con: duckdb.DuckDBPyConnection, path: Path, condition: str) -> bool:
    row = con.execute(
        f"select exists(from read_parquet({literal(str(path))}) where {condition})"
    ).fetchone()
    return bool(row and row[0])
