"""What became of every extract: the newest of each source in a file, the failed ones in an inbox.

Extract must not need the warehouse, which a build may hold for minutes. So it writes files, and
whoever opens the warehouse next takes the inbox over.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = "extracts"
"""Below a home's state."""
NEWEST = ("source", "outcome", "message", "n_files", "n_bytes")


def note_attempt(state: Path, attempt: dict[str, Any]) -> None:
    """Write down what became of an extract.

    Args:
        state: a home's folder of that name.
        attempt: `source`, `outcome`, `message`, `n_files`, `n_bytes`, `since`, `until`, `seconds`.
    """
    folder = state / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    moment = {"at": dt.datetime.now(dt.UTC).isoformat()}
    newest = {key: attempt[key] for key in NEWEST} | moment
    draft = folder / f".{attempt['source']}.part"
    draft.write_text(json.dumps(newest, ensure_ascii=False), encoding="utf-8")
    draft.rename(folder / f"{attempt['source']}.json")
    if attempt["outcome"] == "failed":
        said = {key: attempt[key] for key in ("source", "message", "since", "until", "seconds")}
        with _inbox(state, attempt["source"]).open("a", encoding="utf-8") as file:
            # a line of its own also where a killed one left the last without an end
            file.write("\n" + json.dumps(said | moment, ensure_ascii=False, default=str) + "\n")


@contextlib.contextmanager
def failed_attempts(state: Path) -> Iterator[list[dict[str, Any]]]:
    """What lies in the inbox; it is emptied when the block ends well.

    One that was given and not emptied, because of a kill, is given again.
    """
    taken = []
    for path in sorted((state / FOLDER).glob("*.failed.jsonl")):
        held = path.with_suffix(".taken")
        if not held.exists():  # else the last taker was killed: first that one
            path.rename(held)
    files = sorted((state / FOLDER).glob("*.failed.taken"))
    for held in files:
        for line in held.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # torn by a kill
                taken += [json.loads(line)] if line.strip() else []
    yield taken
    for held in files:
        held.unlink()


def _inbox(state: Path, source: str) -> Path:
    return state / FOLDER / f"{source}.failed.jsonl"
