"""Kinds `postgres` and `mysql`: a table, or what a query finds."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from carelake.setting_groups.base import SHAPE, Duration, Strict, known_duration

LOOK_BACK_OF_TIMES: Duration = "1h"
LOOK_BACK_OF_NUMBERS = 1000


def _length(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return known_duration(value)


LookBack = Annotated[
    int | str,
    BeforeValidator(_length),
    Field(
        json_schema_extra={
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": SHAPE}]
        }
    ),
]
"""A length of time, or how many numbers."""


def in_utc(value: int | dt.datetime | None) -> int | dt.datetime | None:
    """A number as it is; a time without a zone is UTC."""
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=dt.UTC)
    return value


class NewRows(Strict):
    """Read only what is new: by the time of a row's last change, or by a number that only grows."""

    column: str = Field(description="Time of the last change, or an ever-growing number")
    look_back: LookBack | None = Field(
        default=None,
        description="How far before the newest row each reading begins, for rows that are committed "
        "late: a length of time (1h if unset), or how many numbers (1000 if unset)",
    )
    initial: int | dt.datetime | None = Field(
        default=None,
        union_mode="left_to_right",
        description="Where the first reading begins; the whole past if unset",
    )

    @field_validator("initial")
    @classmethod
    def _in_utc(cls, value: int | dt.datetime | None) -> int | dt.datetime | None:
        return in_utc(value)


class DatabaseSettings(Strict):
    """What is read of a database."""

    table: str | None = Field(default=None, description="Table or view, as in support.tickets")
    query: str | None = Field(
        default=None, description="One select instead; it is run in a read-only transaction"
    )
    incremental: NewRows | None = None
    attempts: int = Field(default=6, ge=1, description="Tries before giving up")

    @model_validator(mode="after")
    def _one_of_both(self) -> DatabaseSettings:
        if bool(self.table) == bool(self.query):
            raise ValueError("name either a table or a query")
        return self


def check_database(database: DatabaseSettings, connection: str | None, mode: str) -> None:
    """Hold a database's keys against the rest of the source.

    Raises:
        ValueError: the connection is missing, or the mode contradicts them.
    """
    if connection is None:
        raise ValueError("connection is missing; add the one with host, login and password")
    if mode == "snapshot" and database.incremental is not None:
        raise ValueError("mode snapshot reads everything; remove database.incremental, or the mode")
