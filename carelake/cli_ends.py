"""How a command ends: a line of the journal, and the traceback of an error nobody foresaw."""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from pathlib import Path

import typer

from carelake import journal
from carelake.settings import Home


def note_command(
    app: typer.Typer, began: float, code: object, error: Exception | None = None
) -> None:
    """A line of the journal: which command, never with what it was given."""
    home = Home.from_environment()
    words = sys.argv[1:3]
    groups = {group.name for group in app.registered_groups}
    known = groups | {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    if not words or words[0] not in known or not home.warehouse.exists():
        return
    name = " ".join(words[: 2 if words[0] in groups else 1])
    kind, why = (None, None) if error is None else journal.reason(error)
    journal.write(
        home,
        "command",
        command=name,
        outcome="done" if code == 0 else "failed",
        exit_code=code,
        seconds=round(time.monotonic() - began, 3),
        error=kind,
        reason=why,
    )


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return str(error).splitlines()[0][:300] if str(error) else "no message"


def keep_traceback(error: BaseException) -> str:
    """Write an unforeseen error's traceback where it can be sent from; says where."""
    folder = Home.from_environment().root
    where = folder if folder.is_dir() else Path(tempfile.gettempdir())
    path = where / "error.log"
    try:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(traceback.format_exception(error))
    except OSError as trouble:
        return f"details could not be written to {path} ({trouble.strerror})"
    return f"details in {path}"
