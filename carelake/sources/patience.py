"""Sit out what passes by itself, and give up at once on what does not: for every kind alike."""

from __future__ import annotations

import time
from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_base, wait_random_exponential

from carelake.errors import ConfigError
from carelake.sources.connections import Connection

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 60.0


class Passing(Exception):
    """Trouble that may be over soon; `pause` in seconds when the service named one."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


class Refused(Exception):
    """An answer that asking again does not change; `status` is HTTP's where there is one."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Pause(wait_base):
    """What the service asks for, else longer from try to try, with chance in it."""

    def __init__(self) -> None:
        self._own = wait_random_exponential(
            multiplier=2 * SHORTEST_PAUSE, min=SHORTEST_PAUSE, max=LONGEST_PAUSE
        )

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = error.pause if isinstance(error, Passing) else None
        return self._own(retry_state) if asked is None else asked


def patiently(attempts: int = 6, sleep: Callable[[float], None] = time.sleep) -> Retrying:
    """Calls again, after a pause, what raised `Passing`; the last one is raised.

    Args:
        attempts: tries altogether.
        sleep: waits so many seconds.
    """
    return Retrying(
        wait=_Pause(),
        stop=stop_after_attempt(attempts),
        retry=retry_if_exception_type(Passing),
        sleep=sleep,
        reraise=True,
    )


def told(name: str | None, connection: Connection | None, error: Exception, attempts: int) -> str:
    """What a person reads of an extract that failed; without the connection's password.

    Args:
        name: of the connection.
        connection: None where it could not be found.
        attempts: tries altogether.
    """
    is_named = isinstance(error, ConfigError) and f"'{name}'" in str(error)
    said = str(error) if is_named else f"connection '{name}': {error}"
    if isinstance(error, Passing):
        said += f" ({attempts} tries); the next run goes on"
    if connection is not None and connection.password:
        said = said.replace(connection.password, "***")
    return said
