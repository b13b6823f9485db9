"""What a campaign has done so far, so that one that was stopped can go on."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.chaos.acts import Outcome
from tests.chaos.plan import Disturbance


class Journal:
    """One line per outcome; kept in memory only without a file.

    Attributes:
        done: what came of each disturbance, by its number in the plan.
    """

    def __init__(self, path: Path | None, planned: list[Disturbance]) -> None:
        """Read what is there.

        Raises:
            SystemExit: it belongs to another plan.
        """
        self._path, self._began = path, time.monotonic()
        self._before = 0.0
        self.done: dict[int, Outcome] = {}
        if path is None or not path.exists():
            return
        for line in path.read_text(encoding="utf-8").splitlines():
            told: dict[str, Any] = json.loads(line)
            number, self._before = told.pop("number"), told.pop("elapsed")
            if Disturbance(**told.pop("disturbance")) != planned[number]:
                raise SystemExit(f"{path}: is the journal of another campaign; remove it")
            self.done[number] = Outcome(planned[number], **told)

    @property
    def seconds(self) -> float:
        """Wall time of the campaign, without the time it stood still."""
        return self._before + time.monotonic() - self._began

    def outcomes(self) -> list[Outcome]:
        """All so far, in the order of the plan."""
        return [self.done[number] for number in sorted(self.done)]

    def add(self, number: int, outcome: Outcome) -> None:
        """Keep one more."""
        self.done[number] = outcome
        if self._path:
            line = {"number": number, "elapsed": self.seconds, **asdict(outcome)}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
