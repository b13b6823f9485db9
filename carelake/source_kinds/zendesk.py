"""Kind `zendesk`: tickets, comments, hand-overs, ratings, users and agents of Zendesk Support.

Read by the incremental exports, which also give deleted tickets; the place within a reading is a cursor.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from carelake.source_kinds.rest import BasicAuth, CountAsked, Incremental, NextLink, RestSettings
from carelake.source_kinds.services import ObjectRule, ServiceRule, TimedSettings

Object = Literal["tickets", "comments", "audits", "ratings", "users", "agents"]
API = "api/v2"
EXPORTS: dict[str, tuple[str, str, str]] = {
    "tickets": (f"{API}/incremental/tickets/cursor.json", "after_url", "generated_timestamp"),
    "users": (f"{API}/incremental/users/cursor.json", "after_url", "updated_at"),
    "comments": (f"{API}/incremental/ticket_events.json", "next_page", "timestamp"),
    "audits": (f"{API}/incremental/ticket_events.json", "next_page", "timestamp"),
}
"""Endpoint, path of the next page's address, and a record's time of change."""
INCLUDED = {"tickets": "metric_sets", "comments": "comment_events"}
COUNTED = {
    "tickets": CountAsked(endpoint=f"{API}/tickets/count.json", path="count.value"),
    "users": CountAsked(
        endpoint=f"{API}/users/count.json", path="count.value", params={"role": "end-user"}
    ),
}


class ZendeskSettings(TimedSettings):
    """What is read of an account."""

    objects: list[Object] = Field(
        default=["tickets", "comments", "audits", "ratings", "users", "agents"],
        description="What is read; all if unset",
    )

    @model_validator(mode="after")
    def _agents_are_known(self) -> ZendeskSettings:
        if "comments" in self.objects and "agents" not in self.objects:
            raise ValueError("comments name their writer only: read agents too, to tell them apart")
        return self


def _ask(settings: ZendeskSettings, name: str) -> RestSettings:
    if name == "agents":
        # a few hundred at most: read whole, landed when one changed
        return RestSettings(
            endpoint=f"{API}/users.json?role[]=agent&role[]=admin&page[size]=100",
            auth=BasicAuth(),
            pages=NextLink(path="links.next", more="meta.has_more"),
            **settings.patience,
        )
    since: dict[str, Any] = {
        "since_param": "start_time",
        "format": "epoch",
        "look_back": settings.look_back,
        "initial": settings.initial,
    }
    if name == "ratings":
        return RestSettings(
            endpoint=f"{API}/satisfaction_ratings.json",
            params={"page[size]": "100"},
            auth=BasicAuth(),
            pages=NextLink(path="links.next", more="meta.has_more"),
            incremental=Incremental(field="updated_at", until_param="end_time", **since),
            **settings.patience,
        )
    endpoint, path, field = EXPORTS[name]
    params = {"start_time": "1", "include": INCLUDED.get(name, "")}
    return RestSettings(
        endpoint=endpoint,
        params={key: value for key, value in params.items() if value},
        auth=BasicAuth(),
        # an address of a next page stands on the last one too
        pages=NextLink(path=path, last="end_of_stream"),
        incremental=Incremental(field=field, **since),
        count=COUNTED.get(name),
        **settings.patience,
    )


SERVICE = ServiceRule(
    {
        "tickets": ObjectRule("conversations", "id", "tickets"),
        "comments": ObjectRule("communications", "id", "ticket_events"),
        "audits": ObjectRule("events", "id", "ticket_events"),
        "ratings": ObjectRule("survey_responses", "id", "satisfaction_ratings"),
        "users": ObjectRule("customers", "id", "users"),
        "agents": ObjectRule("agents", "id", "users"),
    },
    _ask,
)
