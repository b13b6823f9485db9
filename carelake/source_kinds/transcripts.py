"""Kind `transcripts`: who spoke, and which call it was."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from carelake.setting_groups.base import Strict

CUSTOMER = ("customer", "caller", "client", "user", "visitor", "客户", "顾客", "用户", "来电")
AGENT = (
    "agent",
    "operator",
    "advisor",
    "representative",
    "staff",
    "assistant",
    "bot",
    "客服",
    "坐席",
    "座席",
)


class TranscriptSettings(Strict):
    """Transcripts of calls."""

    call_id: str | None = Field(
        default=None,
        description="json: dotted path of the call's id; call_id, callId, call_sid, uniqueid or uuid if unset",
    )
    name: str = Field(
        default="(.+)",
        description="Pattern whose first group is the call's id in a file's name without its endings",
    )
    customer: list[str] = Field(default=[], description="More words for the customer's side")
    agent: list[str] = Field(default=[], description="More words for our side")

    @field_validator("name")
    @classmethod
    def _has_group(cls, value: str) -> str:
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise ValueError(f"'{value}' is no pattern ({error})") from error
        if not groups:
            raise ValueError(
                f"'{value}' has no group; put the call's id in brackets: '-([0-9.]+)$'"
            )
        return value

    @property
    def customers(self) -> list[str]:
        """Words for the customer's side, lower case."""
        return [*CUSTOMER, *(word.strip().lower() for word in self.customer)]

    @property
    def agents(self) -> list[str]:
        """Words for our side, lower case."""
        return [*AGENT, *(word.strip().lower() for word in self.agent)]
