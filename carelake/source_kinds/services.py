"""Kinds whose block stands for several sources: a service with objects, each read as kind `rest`.

A kind is described by its objects (what each becomes, by which shape) and by how one is asked for.
What a record becomes is said in `carelake/shapes/<kind>/<object>.sql`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator

from carelake.entities import Entity
from carelake.setting_groups.base import Duration, Strict
from carelake.source_kinds.rest import RestSettings


class ServiceSettings(Strict):
    """What may be said of every service; a kind names its objects."""

    fields: dict[str, list[str]] = Field(
        default={}, description="Object -> more fields of it, kept as attributes"
    )
    timeout_seconds: float = Field(default=60, gt=0, description="Patience with one answer")
    attempts: int = Field(default=6, ge=1, description="Tries of a request before giving up")
    longest_wait: Duration = Field(
        default="5m", description="Longest pause the service may ask for"
    )

    @property
    def chosen(self) -> list[str]:
        """The objects that are read."""
        return list(dict.fromkeys(getattr(self, "objects", [])))

    @property
    def patience(self) -> dict[str, Any]:
        """What goes into the settings of every request."""
        return self.model_dump(include={"timeout_seconds", "attempts", "longest_wait"})


class TimedSettings(ServiceSettings):
    """Of services that are asked for what changed since a time."""

    look_back: Duration = Field(
        default="1h", description="How far before the newest record each reading begins"
    )
    initial: dt.datetime | None = Field(
        default=None, description="Where the first reading begins; the whole past if unset"
    )

    @field_validator("initial")
    @classmethod
    def _in_utc(cls, value: dt.datetime | None) -> dt.datetime | None:
        if value is not None and value.tzinfo is None:
            return value.replace(tzinfo=dt.UTC)
        return value


@dataclass(frozen=True)
class ObjectRule:
    """What one object of a service becomes.

    Attributes:
        entity: whose columns its shape gives.
        record_id: dotted path of a record's id, as the service writes it.
        records_path: dotted path of the records in an answer; None where it is one record.
        beside: dotted paths of what else of an answer its shape reads, as who wrote the records.
        shape: name of its shape, where it is not the object's own.
    """

    entity: Entity
    record_id: str
    records_path: str | None
    beside: tuple[str, ...] = ()
    shape: str | None = None


def _nothing(settings: Any) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class ServiceRule:
    """A kind with objects.

    Attributes:
        objects: by the name a person writes.
        ask: how an object is asked for, from the kind's settings and the object's name.
        say: what of the settings the shapes read, by the name they call it (`$name`).
    """

    objects: dict[str, ObjectRule]
    ask: Callable[[Any, str], RestSettings]
    say: Callable[[Any], dict[str, str]] = _nothing


def check_service(settings: ServiceSettings, connection: str | None) -> None:
    """Hold a service's keys against the rest of the source.

    Raises:
        ValueError: the connection is missing, or fields of an object that is not read.
    """
    if connection is None:
        raise ValueError("connection is missing; it holds the service's host and secrets")
    if not settings.chosen:
        raise ValueError("objects is empty; name one, or leave it out for all")
    for name in settings.fields:
        if name not in settings.chosen:
            raise ValueError(f"fields.{name}: is not among the objects that are read")
