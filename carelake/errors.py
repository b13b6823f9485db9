"""The two ways a call can end badly, and the exit code of each."""

from __future__ import annotations


class CarelakeError(Exception):
    """Base of the errors a user is meant to read: one line, no traceback."""

    exit_code = 1


class RunFailed(CarelakeError):
    """The configuration was fine, the run was not. Exit code 1."""

    exit_code = 1


class ConfigError(CarelakeError):
    """A setting or a call is wrong: the message names file, key and mend. Exit code 2."""

    exit_code = 2
