"""Kind `facebook`: what people write on a Facebook page, under its posts, and to its inbox.

No listing knows the comments of several posts, nor the messages of several conversations: those of each
post and conversation that changed are asked for.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from carelake.setting_groups.base import Duration
from carelake.source_kinds.rest import (
    BearerAuth,
    EachRecord,
    Incremental,
    NextLink,
    RestSettings,
    StatusInBody,
)
from carelake.source_kinds.services import ObjectRule, ServiceRule, TimedSettings

Object = Literal["posts", "comments", "messages"]
FIELDS = {
    "posts": "id,message,from,created_time,updated_time",
    "comments": "id,message,from,created_time,parent{id},object{id},attachment{type,title}",
    "messages": "id,message,from,to,created_time,attachments{name,mime_type},sticker",
}


STATUS = StatusInBody(
    path="error.code",
    # limits and troubles of its own, which Facebook answers with 400 and 500
    statuses={"4": 429, "17": 429, "32": 429, "613": 429, "1": 503, "2": 503, "190": 401},
)


class FacebookSettings(TimedSettings):
    """What is read of a page."""

    page: str = Field(pattern=r"^\d+$", description="The page's number, as in 2121008874780932")
    objects: list[Object] = Field(
        default=["posts", "comments", "messages"], description="What is read; all if unset"
    )
    version: str = Field(default="v23.0", pattern=r"^v\d+\.\d+$", description="Of the Graph API")
    look_back: Duration = Field(
        default="30d",
        description="How long before the newest post others are looked at for new comments",
    )


def _ask(settings: FacebookSettings, name: str) -> RestSettings:
    common: dict[str, Any] = {
        "auth": BearerAuth(), "status_in_body": STATUS, **settings.patience,
    }  # fmt: skip
    links = NextLink(path="paging.next")
    asked = {"fields": FIELDS[name], "limit": "100"}
    if name == "messages":
        return RestSettings(
            endpoint=f"{settings.version}/{settings.page}/conversations",
            params={"fields": "id,updated_time", "limit": "100"},
            pages=links,
            incremental=Incremental(
                field="updated_time", newest_first=True, look_back="1d", initial=settings.initial
            ),
            each=EachRecord(
                endpoint=f"{settings.version}/{{id}}/messages",
                listed="data",
                params=asked,
                pages=links,
            ),
            **common,
        )
    is_comments = name == "comments"
    return RestSettings(
        endpoint=f"{settings.version}/{settings.page}/feed",
        params={"fields": "id,created_time,updated_time", "limit": "100"} if is_comments else asked,
        pages=links,
        incremental=Incremental(
            field="created_time",
            since_param="since",
            format="epoch",
            look_back=settings.look_back,
            initial=settings.initial,
        ),
        each=EachRecord(
            endpoint=f"{settings.version}/{{id}}/comments",
            listed="data",
            # replies too, in one listing
            params={**asked, "filter": "stream", "order": "chronological"},
            pages=links,
        )
        if is_comments
        else None,
        **common,
    )


SERVICE = ServiceRule(
    {
        "posts": ObjectRule("communications", "id", "data"),
        "comments": ObjectRule("communications", "id", "data"),
        "messages": ObjectRule("communications", "id", "data"),
    },
    _ask,
    say=lambda settings: {"page": settings.page},
)
