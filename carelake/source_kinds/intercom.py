"""Kind `intercom`: conversations, their messages, contacts and admins of an Intercom workspace.

Searches by `updated_at` say what changed; a conversation's messages are asked for one by one, as no
listing has them.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from carelake.source_kinds.rest import (
    BearerAuth,
    CursorPages,
    EachRecord,
    Incremental,
    RestSettings,
)
from carelake.source_kinds.services import ObjectRule, ServiceRule, TimedSettings

Object = Literal["conversations", "messages", "contacts", "admins"]


class IntercomSettings(TimedSettings):
    """What is read of a workspace."""

    objects: list[Object] = Field(
        default=["conversations", "messages", "contacts", "admins"],
        description="What is read; all if unset",
    )
    version: str = Field(default="2.14", pattern=r"^\d+\.\d+$", description="Of the API")


def _ask(settings: IntercomSettings, name: str) -> RestSettings:
    common: dict[str, Any] = {
        "headers": {"Intercom-Version": settings.version, "Accept": "application/json"},
        "auth": BearerAuth(),
        **settings.patience,
    }
    if name == "admins":
        return RestSettings(endpoint="admins", **common)
    what = "contacts" if name == "contacts" else "conversations"
    is_messages = name == "messages"
    return RestSettings(
        endpoint=f"{what}/search",
        method="POST",
        body={
            "query": {"field": "updated_at", "operator": ">", "value": "0"},
            "sort": {"field": "updated_at", "order": "ascending"},
            "pagination": {"per_page": 150},
        },
        pages=CursorPages(
            path="pages.next.starting_after",
            param="pagination.starting_after",
            place="body",
            # of messages it counts conversations
            total=None if is_messages else "total_count",
        ),
        incremental=Incremental(
            field="updated_at",
            since_param="query.value",
            place="body",
            format="epoch",
            look_back=settings.look_back,
            initial=settings.initial,
        ),
        each=EachRecord(endpoint="conversations/{id}", listed="conversations")
        if is_messages
        else None,
        **common,
    )


SERVICE = ServiceRule(
    {
        "conversations": ObjectRule("conversations", "id", "conversations"),
        "messages": ObjectRule("communications", "id", None),
        "contacts": ObjectRule("customers", "id", "data"),
        "admins": ObjectRule("agents", "id", "admins"),
    },
    _ask,
)
