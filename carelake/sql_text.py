"""Names and values as SQL, and errors as one line."""

from __future__ import annotations


def quote(text: str) -> str:
    """A text for use between single quotes in SQL."""
    return text.replace("'", "''")


def ident(name: str) -> str:
    """A name for use as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | None) -> str:
    """A text, or null, as an SQL literal."""
    return "null" if value is None else f"'{quote(value)}'"


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
