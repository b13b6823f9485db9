"""Kind `chatwoot`: conversations, messages, ratings, contacts and agents of a Chatwoot account.

Filters by the last activity say what changed; a conversation's messages are asked for one by one, as
no listing has them.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from carelake.setting_groups.base import Duration, as_time
from carelake.source_kinds.rest import (
    ApiKeyAuth,
    EachRecord,
    Incremental,
    NumberedPages,
    RecordPages,
    RestSettings,
)
from carelake.source_kinds.services import ObjectRule, ServiceRule, TimedSettings

Object = Literal["conversations", "messages", "ratings", "contacts", "agents"]
TOTALS = {"conversations": "meta.all_count", "contacts": "meta.count"}
"""Where a page tells how many records there are; of messages it tells their conversations."""
END_OF_TIME = "4102444800"
"""A rating's listing wants both ends of a window."""


class ChatwootSettings(TimedSettings):
    """What is read of an account."""

    account: int = Field(ge=1, description="The number in the address: /app/accounts/1")
    objects: list[Object] = Field(
        default=["conversations", "messages", "ratings", "contacts", "agents"],
        description="What is read; all if unset",
    )
    look_back: Duration = Field(
        default="2d", description="How far before the newest record each reading begins"
    )

    @field_validator("look_back")
    @classmethod
    def _a_day(cls, value: Any) -> Any:
        if as_time(value).total_seconds() < 86400:
            raise ValueError("must be 1d or more; Chatwoot filters by day")
        return value


def _ask(settings: ChatwootSettings, name: str) -> RestSettings:
    base = f"api/v1/accounts/{settings.account}"
    common: dict[str, Any] = {"auth": ApiKeyAuth(name="api_access_token"), **settings.patience}
    since = {"look_back": settings.look_back, "initial": settings.initial}
    if name == "agents":
        return RestSettings(endpoint=f"{base}/agents", **common)
    if name == "ratings":
        return RestSettings(
            endpoint=f"{base}/csat_survey_responses",
            params={"since": "0", "until": END_OF_TIME, "sort": "created_at"},
            pages=NumberedPages(grows_at_end=True),
            incremental=Incremental(
                field="created_at", since_param="since", format="epoch", **since
            ),
            **common,
        )
    is_contacts = name == "contacts"
    condition = {
        "attribute_key": "last_activity_at",
        "filter_operator": "is_greater_than",
        "values": ["1970-01-01"],
        "query_operator": None,
    }
    return RestSettings(
        endpoint=f"{base}/{'contacts' if is_contacts else 'conversations'}/filter",
        method="POST",
        body={"payload": [condition]},
        pages=NumberedPages(total=TOTALS.get(name)),
        incremental=Incremental(
            field="last_activity_at",
            since_param="payload.0.values.0",
            place="body",
            format="date",
            **since,
        ),
        each=EachRecord(
            endpoint=f"{base}/conversations/{{id}}/messages",
            listed="payload",
            pages=RecordPages(param="after", first="0"),
        )
        if name == "messages"
        else None,
        **common,
    )


SERVICE = ServiceRule(
    {
        "conversations": ObjectRule("conversations", "id", "payload"),
        "messages": ObjectRule("communications", "id", "payload"),
        "ratings": ObjectRule("survey_responses", "id", None),
        "contacts": ObjectRule("customers", "id", "payload"),
        "agents": ObjectRule("agents", "id", None),
    },
    _ask,
)
