"""Whose lake it is: the configured company, or the made-up one for a first look."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from carelake.errors import ConfigError, RunFailed
from carelake.settings import PROJECT, Settings
from carelake.source_list import SourceList, source_list_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from carelake.settings import Home


def ensure_company(home: Home, say: Callable[[str], None]) -> Path:
    """Make the sample if no sources are named, and initialise the home; returns the source list.

    Raises:
        ConfigError: the source list or the settings are wrong.
        RunFailed: the sample could not be made.
    """
    sources = chosen_sources(home)
    os.environ["CARELAKE_SOURCES"] = str(sources)
    if sources == sample_sources(home) and not sources.exists():
        _carelake(home, ["sample", str(sources.parent)])
        say(f"sample company written to {sources.parent}")
    SourceList.load(sources)
    Settings.load(sources.parent / "carelake.yml")
    if not home.is_initialised():
        _carelake(home, ["init"])
        say(f"home ready: {home.root}")
    return sources


def chosen_sources(home: Home) -> Path:
    """The list that is named or remembered; while that one is empty or missing, the sample's.

    Raises:
        ConfigError: the list is wrong.
    """
    named = source_list_path(home)
    if os.environ.get("CARELAKE_SOURCES"):
        return named
    if named.exists() and SourceList.load(named).sources:
        return named
    return sample_sources(home)


def sample_sources(home: Home) -> Path:
    """Where the sample's source list lies, once made."""
    return home.root / "sample" / "sources.yml"


def _carelake(home: Home, arguments: list[str]) -> None:
    environment = {**os.environ, "CARELAKE_HOME": str(home.root)}
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")])
    )
    done = subprocess.run(
        [sys.executable, "-m", "carelake.cli", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return
    lines = [line for line in done.stdout.strip().splitlines() if line.strip()] or ["no output"]
    error = ConfigError if done.returncode == 2 else RunFailed
    raise error(f"carelake {arguments[0]}: {lines[-1]}")
