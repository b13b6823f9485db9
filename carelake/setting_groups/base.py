"""What every group of settings is made of."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict


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
