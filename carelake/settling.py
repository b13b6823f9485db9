"""Whether a build may begin: sources that arrive together make one build.

It is asked again every few seconds, by processes that know nothing of one another, so what was seen
is kept in a file of the home.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

LONGEST_SECONDS = 1500.0
"""However many sources arrive one after the other, a build begins after so long."""


@dataclass
class Settling:
    """What the build of one run waits for; times are seconds since 1970.

    `busy` only shrinks: a source that has arrived and runs again is not waited for twice.
    """

    run_id: str
    began: float
    last_arrival: float
    busy: list[str]
    done: bool = False

    @property
    def seconds(self) -> float:
        """How long it has waited."""
        return round(time.time() - self.began, 1)

    @property
    def summary(self) -> str:
        """One line for the task."""
        if not self.done:
            return f"waits for {', '.join(self.busy)}"
        return (
            f"went on without {', '.join(self.busy)}" if self.busy else "every source has arrived"
        )


def look(
    state: Path,
    run_id: str,
    sources: Sequence[str],
    is_busy: Callable[[str], bool],
    patience: float,
) -> Settling:
    """Look once.

    Args:
        state: the home's folder of that name.
        run_id: whose build waits.
        sources: all there are.
        is_busy: whether an ingest of a source is queued or running.
        patience: seconds; they begin anew with each source that has arrived.
    """
    now = time.time()
    file = state / "settling.json"
    seen = _seen(file, run_id) or Settling(run_id, now, now, list(sources))
    busy = [source for source in seen.busy if is_busy(source)]
    last_arrival = now if len(busy) < len(seen.busy) else seen.last_arrival
    is_over = now - last_arrival > patience or now - seen.began > LONGEST_SECONDS
    found = Settling(run_id, seen.began, last_arrival, busy, not busy or is_over)
    state.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".part")
    draft.write_text(json.dumps(asdict(found)), encoding="utf-8")
    draft.rename(file)
    return found


def _seen(file: Path, run_id: str) -> Settling | None:
    """What was seen for this run before; None at the first look, and after the last one."""
    try:
        seen = Settling(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return seen if seen.run_id == run_id and not seen.done else None
