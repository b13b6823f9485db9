"""Patterns that a person writes and SQL matches."""

from __future__ import annotations


def checked_pattern(value: str, example: str) -> str:
    """A pattern as DuckDB takes it, which knows no look-arounds.

    Raises:
        ValueError: it is none, with an example of one.
    """
    import duckdb

    try:
        with duckdb.connect() as con:
            con.execute("select regexp_full_match('', ?)", [value])
    except duckdb.Error as error:
        reason = str(error).splitlines()[0].partition(": ")[2]
        raise ValueError(
            f"'{value}' is no pattern ({reason}); write one such as '{example}'"
        ) from error
    return value
