"""How long a source may be quiet."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from carelake.setting_groups.base import Strict

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
SHAPE = r"^[1-9]\d{0,5}[smhdw]$"


def _known_duration(value: object) -> object:
    # YAML reads 26 as a number
    if not re.fullmatch(SHAPE, str(value)):
        raise ValueError(f"'{value}' is no length of time; write 90m, 26h, 3d or 2w")
    return value


Duration = Annotated[
    str, Field(json_schema_extra={"pattern": SHAPE}), BeforeValidator(_known_duration)
]
"""A whole number and its unit: seconds, minutes, hours, days or weeks."""


def as_time(duration: str) -> dt.timedelta:
    """A duration as Python counts it."""
    return dt.timedelta(**{UNITS[duration[-1]]: int(duration[:-1])})


class Freshness(Strict):
    """How old a source's newest arrival may be. Either limit may be left out."""

    warn: Duration | None = Field(default=None, description="Older than this: a warning, as in 26h")
    block: Duration | None = Field(
        default=None, description="Older than this: its run ends red and readers are told, as in 3d"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Freshness:
        if self.warn is None and self.block is None:
            raise ValueError("has no limit; write warn: 26h, block: 3d, or both")
        if self.warn and self.block and as_time(self.warn) > as_time(self.block):
            raise ValueError(f"warn {self.warn} is longer than block {self.block}; swap them")
        return self
