"""The configuration that last was right: what Airflow goes on with while somebody edits the files.

A source list or `carelake.yml` with a fault in it would take every DAG away, and with them every
schedule. So each good reading is remembered in the home, and a broken file gives the remembered one
back, together with the fault, which the caller has to show.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from carelake.errors import ConfigError
from carelake.settings import Home, Settings
from carelake.source_list import SourceList

T = TypeVar("T", bound=BaseModel)


def sources(home: Home, path: Path) -> tuple[SourceList, ConfigError | None]:
    """The source list at a path, or the last good one from there and what is wrong now.

    Raises:
        ConfigError: it is wrong, and never was right in this home.
    """
    found, fault = _read(home, path, SourceList, lambda: SourceList.load(path))
    return found.model_copy(update={"path": path.resolve()}), fault


def settings(home: Home, path: Path) -> tuple[Settings, ConfigError | None]:
    """`carelake.yml` at a path, or the last good one from there and what is wrong now.

    Raises:
        ConfigError: it is wrong, and never was right in this home.
    """
    return _read(home, path, Settings, lambda: Settings.load(path))


def _read(
    home: Home, path: Path, kind: type[T], load: Callable[[], T]
) -> tuple[T, ConfigError | None]:
    memory = home.state / "last_good" / f"{kind.__name__}.json"
    try:
        found = load()
    except ConfigError as fault:
        remembered = _remembered(memory, path, kind)
        if remembered is None:
            raise
        return remembered, fault
    _remember(memory, path, found)
    return found, None


def _remembered(memory: Path, path: Path, kind: type[T]) -> T | None:
    try:
        kept: dict[str, Any] = json.loads(memory.read_text(encoding="utf-8"))
        # another file is another configuration: it has no good past here
        return kind.model_validate(kept["content"]) if kept["path"] == str(path.resolve()) else None
    except (OSError, ValueError, KeyError, ValidationError):
        return None


def _remember(memory: Path, path: Path, found: BaseModel) -> None:
    """Keep a good reading; DAG files are parsed every half minute, so an equal one is not written."""
    kept = {"path": str(path.resolve()), "content": found.model_dump(mode="json")}
    text = json.dumps(kept, ensure_ascii=False, indent=1, sort_keys=True)
    try:
        if memory.exists() and memory.read_text(encoding="utf-8") == text:
            return
        memory.parent.mkdir(parents=True, exist_ok=True)
        draft = memory.with_name(f".{memory.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(text, encoding="utf-8")
        draft.rename(memory)
    except OSError:
        # a full disk, say: that is no fault of the configuration
        return
