"""How many records a source says it has, where its kind can ask; for reconciliation."""

from __future__ import annotations

import datetime as dt
import importlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from carelake.errors import ConfigError
from carelake.landing import manifests
from carelake.source import Source
from carelake.sources.extract import MODULES
from carelake.sources.patience import Passing, Refused
from carelake.sources.renewed_secrets import kept_in

EVERY = dt.timedelta(hours=20)
"""A source that is extracted each day, a little earlier or later, is counted each day."""


@dataclass(frozen=True)
class Counted:
    """One answer.

    Attributes:
        n_theirs: records the source says it has, of those we read.
        scope: what was counted, as a person reads it: `all`, or `changed since ...`.
    """

    n_theirs: int
    scope: str = "all"


def counter(source: Source) -> Callable[[Source, Path], Counted | None] | None:
    """What counts a source of its kind; None where the kind cannot."""
    module = importlib.import_module(f"carelake.sources.{MODULES[source.kind]}")
    found: Callable[[Source, Path], Counted | None] | None = getattr(module, "count", None)
    return found


def count_if_due(
    source: Source,
    base: Path,
    landing: Path,
    folder: Path,
    *,
    secrets: Path | None = None,
    now: dt.datetime | None = None,
) -> str | None:
    """Ask a source for its count, once a day, and write it down with what was landed by then.

    A source that does not answer is asked the next time; its extract is good all the same.

    Args:
        folder: of the newest counts, one file per source.

    Returns:
        Why it could not be counted; None when it was, or need not be.
    """
    moment = now or dt.datetime.now(dt.UTC)
    before = newest_count(folder, source.name)
    if before is not None and moment - dt.datetime.fromisoformat(before["at"]) < EVERY:
        return None
    count = counter(source)
    if count is None:
        return None
    try:
        with kept_in(secrets):
            counted = count(source, base)
    except (Passing, Refused, ConfigError, OSError, ValueError) as error:
        return f"could not be counted: {error}"
    landed = manifests(landing, source.name)
    if counted is not None and landed:
        _write(folder, source.name, counted, moment, landed[-1].batch_id)
    return None


def newest_count(folder: Path, source: str) -> dict[str, Any] | None:
    """What a source was last counted: `source`, `at`, `batch_id`, `n_theirs`, `scope`."""
    path = folder / f"{source}.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _write(folder: Path, source: str, counted: Counted, at: dt.datetime, batch_id: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    said = {"source": source, "at": at.isoformat(), "batch_id": batch_id, **asdict(counted)}
    draft = folder / f".{source}.part"
    draft.write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
    draft.rename(folder / f"{source}.json")
