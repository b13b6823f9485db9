"""Kind `twilio`: the calls of a Twilio account.

Twilio lists calls by when they began, and a call is in that list before it is over. So each reading begins
further back than a call can last: the first one after a call's end has the call as it ended.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from carelake.setting_groups.base import Duration
from carelake.source_kinds.patterns import checked_pattern
from carelake.source_kinds.rest import BasicAuth, Incremental, NextLink, RestSettings
from carelake.source_kinds.services import ObjectRule, ServiceRule, TimedSettings

Object = Literal["calls"]
OURS = r"client:.+|sips?:[^@]+@[^@;]+\.sip(\.[a-z0-9-]+)?\.twilio\.com([:;].*)?"
"""Browser telephones, and telephones that are registered at a SIP domain of our own."""


class TwilioSettings(TimedSettings):
    """What is read of an account."""

    account: str = Field(
        pattern=r"^AC[0-9a-fA-F]{32}$", description="SID of the account or subaccount, AC..."
    )
    objects: list[Object] = Field(default=["calls"], description="What is read; all if unset")
    agents: str = Field(
        default=OURS,
        description="Pattern that the names and numbers of our people match as a whole, and no customer's "
        "does",
    )
    joined_by: Literal["dial", "conference"] = Field(
        default="dial",
        description="How customers reach our people: `conference` (Flex, queues) has legs that name no other",
    )
    look_back: Duration = Field(
        default="25h",
        description="How far before the newest call each reading begins; longer than a call can last",
    )

    @field_validator("agents")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        return checked_pattern(value, r"client:.+|\+4930123\d{2}")


def _ask(settings: TwilioSettings, name: str) -> RestSettings:
    return RestSettings(
        endpoint=f"2010-04-01/Accounts/{settings.account}/Calls.json",
        params={"PageSize": "1000"},
        auth=BasicAuth(),
        pages=NextLink(path="next_page_uri"),
        incremental=Incremental(
            field="start_time",
            # with the `=` of a parameter behind them they read StartTime>=... and StartTime<=...
            since_param="StartTime>",
            until_param="StartTime<",
            look_back=settings.look_back,
            initial=settings.initial,
        ),
        **settings.patience,
    )


def _say(settings: TwilioSettings) -> dict[str, str]:
    return {"agents": settings.agents, "joined_by": settings.joined_by}


SERVICE = ServiceRule({"calls": ObjectRule("call_legs", "sid", "calls")}, _ask, _say)
