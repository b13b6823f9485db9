"""What every group of settings is made of."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


class Strict(BaseModel):
    """A mapping in which an unknown key is a mistake, not a comment."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except Exception as error:
        raise ValueError(f"'{value}' is no time zone; use a name such as Asia/Shanghai") from error
    return value


TimeZone = Annotated[str, AfterValidator(_known_zone)]
"""A zone by its name in the IANA list."""

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
SHAPE = r"^[1-9]\d{0,5}[smhdw]$"


def known_duration(value: object) -> object:
    """The value, when it is a length of time."""
    # YAML reads 26 as a number
    if not re.fullmatch(SHAPE, str(value)):
        raise ValueError(f"'{value}' is no length of time; write 90m, 26h, 3d or 2w")
    return value


Duration = Annotated[
    str, Field(json_schema_extra={"pattern": SHAPE}), BeforeValidator(known_duration)
]
"""A whole number and its unit: seconds, minutes, hours, days or weeks."""


def as_time(duration: str) -> dt.timedelta:
    """A duration as Python counts it."""
    return dt.timedelta(**{UNITS[duration[-1]]: int(duration[:-1])})
