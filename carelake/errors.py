"""The two ways a call can end badly, and the exit code of each."""

from __future__ import annotations


class CarelakeError(Exception):
    """Base of the errors a user is meant to read: one line, no traceback."""

    exit_code = 1


class RunFailed(CarelakeError):
    """The configuration was fine, the run was not. Exit code 1.

    Attributes:
        public: the reason as every reader of the marts may know it, without values and paths.
    """

    exit_code = 1

    def __init__(self, message: str, *, public: str | None = None) -> None:
        super().__init__(message)
        self.public = public


class WriterBusy(RunFailed):
    """Another process has the warehouse, and kept it."""


class ConfigError(CarelakeError):
    """A setting or a call is wrong: the message names file, key and mend. Exit code 2."""

    exit_code = 2
