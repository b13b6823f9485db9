"""Kind `mongodb`: the documents of a collection."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import Field, field_validator

from carelake.setting_groups.base import Strict
from carelake.source_kinds.database import LookBack, in_utc


class NewDocuments(Strict):
    """Read only what is new: by an ObjectId, a date, or a number that only grows."""

    field: str = Field(
        default="_id", description="Dotted path of an ObjectId, a date, or an ever-growing number"
    )
    look_back: LookBack | None = Field(
        default=None,
        description="How far before the newest document each reading begins: a length of time "
        "(1h if unset), or how many numbers (1000 if unset)",
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


class MongoSettings(Strict):
    """What is read of a collection."""

    collection: str = Field(min_length=1, description="In the database of the connection")
    filter: dict[str, Any] = Field(default={}, description="As find takes it")
    projection: dict[str, Any] | None = Field(default=None, description="As find takes it")
    incremental: NewDocuments | None = None
    attempts: int = Field(default=6, ge=1, description="Tries before giving up")


def check_mongodb(mongodb: MongoSettings, connection: str | None, mode: str) -> None:
    """Hold a collection's keys against the rest of the source.

    Raises:
        ValueError: the connection is missing, or the mode contradicts them.
    """
    if connection is None:
        raise ValueError("connection is missing; add the one with host and database")
    if mode == "snapshot" and mongodb.incremental is not None:
        raise ValueError("mode snapshot reads everything; remove mongodb.incremental, or the mode")
