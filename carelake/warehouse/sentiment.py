"""What of customers' texts the model `sentiment` still has to score, and what it said of them.

A score belongs to a text, not to a message: the same words are scored once, a text that changes is
another text, and only texts that are new, or a new champion, make work.
"""

from __future__ import annotations

from pathlib import Path

from duckdb import DuckDBPyConnection

from carelake.warehouse.connection import has_table, literal

Champion = tuple[int, str]
"""Version and content digest."""
PART = 500_000
"""Texts written at a time."""


def forget(con: DuckDBPyConnection, champion: Champion | None) -> None:
    """Remove scores of another model, and of texts that no message has any more."""
    version, digest = champion or (0, "")
    con.execute("begin")
    con.execute("delete from ml.sentiment_scores where model_digest <> ?", [digest])
    con.execute(
        "update ml.sentiment_scores set model_version = ? where model_version <> ?",
        [version, version],
    )
    if has_table(con, "intermediate", "int_communications"):
        con.execute(
            "delete from ml.sentiment_scores as scores where not exists "
            "(from intermediate.int_communications as messages where messages.text_hash = scores.text_hash)"
        )
    con.execute("commit")


def write_unscored(con: DuckDBPyConnection, path: Path) -> int:
    """Write texts without a score, each once, as `text_hash` and masked `text`; gives how many, at most `PART`."""
    con.execute(
        f"""
        copy (
            select text_hash, min(coalesce(text_masked, subject_masked)) as text,
            from intermediate.int_communications
            where text_hash is not null and text_hash not in (select text_hash from ml.sentiment_scores)
            group by text_hash
            order by text_hash
            limit {PART}
        ) to {literal(str(path))} (format parquet)
        """
    )
    row = con.execute(f"select count(*) from read_parquet({literal(str(path))})").fetchone()
    return int(row[0]) if row else 0


def record(con: DuckDBPyConnection, path: Path) -> None:
    """Add a file of scores; what has one already, of a run that was cut, is left as it is."""
    con.execute(
        f"""
        insert into ml.sentiment_scores by name
        from read_parquet({literal(str(path))}) as new
        anti join ml.sentiment_scores as known using (text_hash)
        """
    )
