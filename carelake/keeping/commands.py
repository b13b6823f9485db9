"""Cleaning that a tool does itself: its own command, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from carelake.errors import RunFailed


def clean_with(module: str, arguments: Sequence[str], more: Mapping[str, str], what: str) -> None:
    """Run `python -m MODULE ARGUMENTS`.

    Args:
        more: added to this process's environment.
        what: is said to have failed when it does.

    Raises:
        RunFailed: it failed; ends in the last line of what it said.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise RunFailed(f"tidy: {what} ({lines[-1][:300]})")
