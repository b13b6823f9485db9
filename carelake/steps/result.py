"""What a step tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class StepResult:
    """What a step did; small enough to be read in a user interface.

    `outcome` is 'done', 'nothing_new' or 'failed'; `summary` is one line; `parts` are lines of the
    journal about its sources and batches.
    """

    step: str
    outcome: str = "done"
    rows: int = 0
    seconds: float = 0.0
    summary: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    parts: list[dict[str, Any]] = field(default_factory=list)
