"""What is promised to customers, and since when."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from carelake.setting_groups.base import Strict

Channel = Literal["phone", "email", "chat", "social", "in_person"]


class ServiceLevel(Strict):
    """One promise, for conversations that are opened from its day on, until the next one's.

    A promise that changes gets a new entry with its own `since`. An entry that is edited changes
    what was promised in the past.
    """

    metric: Literal["first_reply", "next_reply", "resolution"] = Field(
        description="What is due: the first answer, each later one, or the close"
    )
    channel: Channel
    within_minutes: int = Field(ge=1, le=5_000_000, description="How soon it is due")
    hours: Literal["calendar", "business"] = Field(
        default="calendar", description="Whether only minutes of `business_hours` count"
    )
    since: dt.date = Field(
        default=dt.date(1970, 1, 1),
        description="First day of the reporting zone on which it holds; without, always",
    )
