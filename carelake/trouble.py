"""Tell what the machine does to a run (a full disk, a lost database) from faults of our own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from carelake.errors import CarelakeError, RunFailed

if TYPE_CHECKING:
    from carelake.settings import Home

FULL = ("No space left on device", "database or disk is full", "Disk quota exceeded")
MLFLOW = frozenset({"sqlalchemy", "sqlite3", "alembic"})
"""Packages whose errors are about MLflow's store: no other part of a run uses them."""
DUCKDB = ("IOException", "OutOfMemoryException", "FatalException")
"""Of DuckDB's errors, those that no query of ours is to blame for."""
GO_ON = "run it again, it goes on where it was"


def as_told(error: Exception, home: Home, doing: str) -> CarelakeError | None:
    """The error a user is to read, None when it is none of the machine's doing.

    Recognised by module name and text, so that nothing heavy is imported to tell an error.

    Args:
        doing: the step, or the command, that was under way.
    """
    chain = list(_chain(error))
    if any(full in str(each) for each in chain for full in FULL):
        return RunFailed(f"{doing}: the disk of {home.root} is full; make room and {GO_ON}")
    if isinstance(error, CarelakeError):
        return error
    packages = {type(each).__module__.partition(".")[0] for each in chain}
    if packages.intersection(MLFLOW):
        return RunFailed(
            f"{doing}: MLflow's store {home.mlflow_uri} cannot be used ({_first_line(error)}); "
            f"bring it back and {GO_ON}"
        )
    if isinstance(error, OSError) and error.filename is not None:
        return RunFailed(f"{doing}: {error.filename}: {error.strerror}; mend that and {GO_ON}")
    if isinstance(error, OSError) or type(error).__name__ in DUCKDB:
        return RunFailed(f"{doing}: {_first_line(error)}")
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what led to it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0][:300] if lines else type(error).__name__
