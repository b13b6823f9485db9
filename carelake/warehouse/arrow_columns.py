"""Columns of an Arrow table made of Python values, without what `pa.array` brings along.

That one imports pandas to ask whether a list is one of its series, a third of a second in a process
that loads a few files.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa


def strings(values: Iterable[str | None]) -> pa.StringArray:
    """A column of texts."""
    column = pa.lib.StringBuilder()
    column.append_values(values)
    return column.finish()


def integers(values: Iterable[int | None]) -> pa.Int64Array:
    """A column of whole numbers."""
    return strings(None if value is None else str(value) for value in values).cast(pa.int64())
