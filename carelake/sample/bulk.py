"""Many plain rows, fast: DuckDB writes CSV and JSON lines for measurements of speed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BulkSummary:
    """What was written: rows and bytes by file."""

    target: Path
    rows: dict[str, int]
    n_bytes: int


def write_bulk(
    target: Path, rows: int, seed: int = 7, progress: Callable[[str, float], None] | None = None
) -> BulkSummary:
    """Write."""
    raise NotImplementedError
