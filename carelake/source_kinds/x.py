"""Kind `x`: posts on X that mention an account of ours, and the account's own posts.

X bills each post that is read, so a listing is read once, from a little before the newest post that is known.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from carelake.setting_groups.base import Duration
from carelake.source_kinds.rest import BearerAuth, CursorPages, Incremental, RestSettings
from carelake.source_kinds.services import ObjectRule, ServiceRule, TimedSettings

Object = Literal["mentions", "posts"]
FIELDS = (
    "author_id", "conversation_id", "created_at", "edit_history_tweet_ids", "in_reply_to_user_id", "lang",
    "note_tweet", "referenced_tweets",
)  # fmt: skip
"""What the shape reads of a post, beside its id and text."""


class XSettings(TimedSettings):
    """What is read of an account."""

    account: str = Field(pattern=r"^\d{1,19}$", description="Id of our account, a number")
    own: list[str] = Field(
        default=[], description="Ids of more accounts of ours: what they write is ours too"
    )
    objects: list[Object] = Field(
        default=["mentions", "posts"], description="What is read; all if unset"
    )
    look_back: Duration = Field(
        default="15m", description="How far before the newest post each reading begins"
    )
    longest_wait: Duration = Field(
        default="16m", description="Longest pause X may ask for; its limits last 15 minutes"
    )

    @field_validator("account", mode="before")
    @classmethod
    def _text_id(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value

    @field_validator("own", mode="before")
    @classmethod
    def _text_ids(cls, value: Any) -> Any:
        return [cls._text_id(one) for one in value] if isinstance(value, list) else value


def _ask(settings: XSettings, name: str) -> RestSettings:
    fields = [*FIELDS, *(path.split(".")[0] for path in settings.fields.get(name, []))]
    params = {
        "max_results": "100",
        "tweet.fields": ",".join(dict.fromkeys(fields)),
        "expansions": "author_id,in_reply_to_user_id",
        "user.fields": "name,username",
    }
    if name == "posts":
        # what others said is no word of ours, and would be billed
        params["exclude"] = "retweets"
    return RestSettings(
        endpoint=f"2/users/{settings.account}/{'mentions' if name == 'mentions' else 'tweets'}",
        params=params,
        auth=BearerAuth(),
        pages=CursorPages(path="meta.next_token", param="pagination_token"),
        empty="meta.result_count",
        incremental=Incremental(
            field="created_at",
            since_param="start_time",
            until_param="end_time",
            look_back=settings.look_back,
            initial=settings.initial,
        ),
        **settings.patience,
    )


def _say(settings: XSettings) -> dict[str, str]:
    return {"account": settings.account, "ours": ",".join([settings.account, *settings.own])}


POSTS = ObjectRule("communications", "id", "data", beside=("includes.users",), shape="posts")
SERVICE = ServiceRule({"mentions": POSTS, "posts": POSTS}, _ask, _say)
