"""One training or scoring of a home at a time; a second one waits, and finds the work done.

Scoring texts goes to and fro between the warehouse and a model, so it has a turn of its own around it all.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from carelake.settings import Home

WORK = {"models": "training or scoring", "texts": "scoring of texts"}


@contextmanager
def own_turn(
    home: Home, report: Callable[[str], None], of: Literal["models", "texts"] = "models"
) -> Iterator[None]:
    """Hold a lock of this home; the kernel frees it when its holder dies.

    The writer's lock would not do: nobody should wait for a training who only wants to load.

    Args:
        home: whose turn.
        report: told when another has it.
        of: 'models' around a training or a scoring, 'texts' around all steps of scoring texts.
    """
    home.mlflow_dir.mkdir(parents=True, exist_ok=True)
    handle = os.open(home.mlflow_dir / f"{of}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for another {WORK[of]} of this home")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
