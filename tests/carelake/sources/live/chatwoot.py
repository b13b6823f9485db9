"""Chatwoot's application API as its documentation and its source describe it: filters by POST, numbered pages."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any

from tests.carelake.sources.faulty_api import Answer, Asked, Service

ANN, BEN, AMY_AGENT, BOT = 501, 502, 7, 3
BASE = "/api/v1/accounts/1"


def at(minute: int) -> int:
    """A time as Chatwoot writes it."""
    return int(dt.datetime(2024, 5, 1, 10, minute, tzinfo=dt.UTC).timestamp())


def ours(minute: int) -> str:
    """The same as the raw tables have it."""
    return f"2024-05-01T10:{minute:02d}:00.000000Z"


def person(ident: int, name: str, **more: Any) -> dict[str, Any]:
    """A contact."""
    return {
        "id": ident, "name": name, "email": None, "phone_number": None, "identifier": None, "thumbnail": "",
        "additional_attributes": {}, "custom_attributes": {}, "created_at": at(0), "last_activity_at": at(5), **more,
    }  # fmt: skip


CONTACTS = [
    person(ANN, "Ann", email="ann.c@example.org", identifier="shop-77", additional_attributes={"city": "Cork", "country": "Ireland"}),
    person(BEN, "小本", phone_number="+4930901820", last_activity_at=at(6)),
]  # fmt: skip
AGENT = {
    "id": AMY_AGENT,
    "account_id": 1,
    "email": "amy@shop.example",
    "name": "Amy Agent",
    "available_name": "Amy",
    "role": "agent",
    "availability_status": "online",
}


def conversations() -> list[dict[str, Any]]:
    """Both conversations, as they are in the end."""
    return [
        {
            "id": 12, "account_id": 1, "inbox_id": 1, "status": "resolved", "created_at": at(10), "last_activity_at": at(30),
            "first_reply_created_at": at(20), "additional_attributes": {"browser": {}}, "custom_attributes": {}, "labels": ["vip"],
            "priority": None, "unread_count": 0, "messages": [],
            "meta": {"sender": CONTACTS[0], "channel": "Channel::WebWidget", "assignee": AGENT, "hmac_verified": False},
        },
        {
            "id": 13, "account_id": 1, "inbox_id": 2, "status": "snoozed", "created_at": at(12), "last_activity_at": at(13),
            "first_reply_created_at": 0, "additional_attributes": {"mail_subject": "Lamp"}, "custom_attributes": {}, "labels": [],
            "priority": "high", "unread_count": 1, "messages": [],
            "meta": {"sender": CONTACTS[1], "channel": "Channel::Email", "hmac_verified": False},
        },
    ]  # fmt: skip


def message(ident: int, kind: int, minute: int, content: str | None, **more: Any) -> dict[str, Any]:
    """A message; 0 came in, 1 went out, 2 tells what happened, 3 was made by the system."""
    return {
        "id": ident, "content": content, "inbox_id": 1, "conversation_id": 12, "message_type": kind, "content_type": "text",
        "status": "sent", "content_attributes": {}, "created_at": at(minute), "private": False, "source_id": None, **more,
    }  # fmt: skip


def sender(kind: str, ident: int, name: str) -> dict[str, Any]:
    """Who wrote a message."""
    return {"sender": {"id": ident, "name": name, "type": kind, "thumbnail": ""}}


MESSAGES: dict[str, list[Any]] = {
    "12": [
        message(101, 0, 10, "Does it ship to Cork?", **{"sender": {**CONTACTS[0], "type": "contact"}}),
        message(102, 3, 10, "We usually reply in a few minutes."),
        message(103, 1, 11, "One moment", **sender("agent_bot", BOT, "Bot")),
        message(104, 2, 15, "Assigned to Amy Agent by Automation"),
        message(105, 1, 16, "She is a regular, be quick", private=True, **sender("user", AMY_AGENT, "Amy Agent")),
        message(106, 1, 20, "It does &amp; it is free", content_attributes={"in_reply_to": 101}, **sender("user", AMY_AGENT, "Amy Agent")),
        message(107, 0, 22, "This message was deleted", content_attributes={"deleted": True}, **{"sender": {**CONTACTS[0], "type": "contact"}}),
        message(108, 3, 30, "Please rate the conversation", content_type="input_csat"),
    ],
    "13": [
        message(110, 0, 12, "Bonjour", conversation_id=13, inbox_id=2, content_attributes={"email": {"subject": "Lamp"}}, **{"sender": {**CONTACTS[1], "type": "contact"}}),
    ],
}  # fmt: skip
RATINGS = [
    {"id": 31, "rating": 4, "feedback_message": "quick 很快", "account_id": 1, "message_id": 108, "contact": CONTACTS[0], "conversation_id": 12, "assigned_agent": AGENT, "created_at": at(40)},
]  # fmt: skip

EXPECTED: dict[str, list[dict[str, Any]]] = {
    "conversations": [
        {"conversation_id": "desk:12", "channel": "chat", "status": "closed", "customer_id": "desk:501", "agent": "desk:7", "opened_at": ours(10), "first_reply_at": ours(20), "closed_at": ours(30), "updated_at": ours(30), "attributes": {"labels": '["vip"]'}},
        {"conversation_id": "desk:13", "channel": "email", "status": "on hold", "subject": "Lamp", "customer_id": "desk:502", "opened_at": ours(12), "updated_at": ours(13), "attributes": {"labels": "[]"}},
    ],
    "communications": [
        {"communication_id": "desk:101", "conversation_id": "desk:12", "direction": "inbound", "customer_id": "desk:501", "email": "ann.c@example.org", "customer_name": "Ann", "sent_at": ours(10), "body": "Does it ship to Cork?", "is_automatic": "false", "updated_at": ours(10)},
        {"communication_id": "desk:102", "conversation_id": "desk:12", "direction": "outbound", "sent_at": ours(10), "body": "We usually reply in a few minutes.", "is_automatic": "true", "updated_at": ours(10)},
        {"communication_id": "desk:103", "conversation_id": "desk:12", "direction": "outbound", "sent_at": ours(11), "body": "One moment", "is_automatic": "true", "updated_at": ours(11)},
        {"communication_id": "desk:106", "conversation_id": "desk:12", "in_reply_to": "desk:101", "direction": "outbound", "agent": "desk:7", "sent_at": ours(20), "body": "It does & it is free", "is_automatic": "false", "updated_at": ours(20)},
        {"communication_id": "desk:107", "conversation_id": "desk:12", "direction": "inbound", "customer_id": "desk:501", "email": "ann.c@example.org", "customer_name": "Ann", "sent_at": ours(22), "body": "This message was deleted", "is_automatic": "false", "updated_at": ours(22), "is_deleted": "true"},
        {"communication_id": "desk:108", "conversation_id": "desk:12", "direction": "outbound", "sent_at": ours(30), "body": "Please rate the conversation", "is_automatic": "true", "updated_at": ours(30)},
        {"communication_id": "desk:110", "conversation_id": "desk:13", "direction": "inbound", "customer_id": "desk:502", "phone": "+4930901820", "customer_name": "小本", "sent_at": ours(12), "subject": "Lamp", "body": "Bonjour", "is_automatic": "false", "updated_at": ours(12)},
    ],
    "survey_responses": [
        {"survey_id": "desk:31", "survey_kind": "csat", "survey_score": "4", "survey_remark": "quick 很快", "conversation_id": "desk:12", "customer_id": "desk:501", "responded_at": ours(40), "updated_at": ours(40)},
    ],
    "customers": [
        {"customer_id": "desk:501", "customer_name": "Ann", "email": "ann.c@example.org", "handle": "shop-77", "city": "Cork", "country": "Ireland", "created_at": ours(0), "updated_at": ours(5)},
        {"customer_id": "desk:502", "customer_name": "小本", "phone": "+4930901820", "created_at": ours(0), "updated_at": ours(6)},
    ],
    "agents": [
        {"agent_id": "desk:7", "agent_name": "Amy Agent", "email": "amy@shop.example"},
    ],
}  # fmt: skip
"""What is in the raw tables after one extract and load, worked out by hand; no NULL is written."""


@dataclass
class Chatwoot(Service):
    """An account of two conversations."""

    conversations: list[dict[str, Any]] = field(default_factory=conversations)
    messages: dict[str, list[Any]] = field(default_factory=lambda: dict(MESSAGES))
    ratings: list[Any] = field(default_factory=lambda: list(RATINGS))
    junk: list[Any] = field(default_factory=list)
    page_size: int = 1
    spoilt = ("conversations", "communications", "survey_responses", "customers", "agents")

    def __post_init__(self) -> None:
        self.token = "s3cret-access-token"

    def before(self) -> None:
        """Before anybody answered, and the customer took words back."""
        self.conversations[0] |= {
            "last_activity_at": at(22),
            "status": "open",
            "first_reply_created_at": 0,
        }
        taken_back = {**MESSAGES["12"][6], "content": "Idiots", "content_attributes": {}}
        self.messages["12"] = [MESSAGES["12"][0], taken_back]
        self.ratings = []

    def after(self) -> None:
        """As it is in the end."""
        self.conversations, self.messages = conversations(), dict(MESSAGES)
        self.ratings = list(RATINGS)

    def expire(self) -> None:
        """An access token does not run out."""

    def spoil(self) -> int:
        """Put records of no known form on every first page; gives how many are no object there."""
        odd = {
            "id": {"a": 1},
            "meta": 3,
            "status": {},
            "sender": "x",
            "content_attributes": "none",
            "contact": [],
            "additional_attributes": 1,
            "rating": "good",
        }
        self.junk = ["no record", 17, {"id": None}, {}, odd]
        self.messages["12"] = ["no message", 3, {"id": None}, odd, *MESSAGES["12"]]
        return 2 * 5

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("api_access_token") != self.token:
            return Answer({"error": "Invalid Access Token"}, 401)
        what = asked.path.removeprefix(f"{BASE}/")
        if what == "agents":
            return Answer([AGENT, *self.junk])
        if what == "csat_survey_responses":
            since, until = int(asked.query["since"]), int(asked.query["until"])
            found = [r for r in self.ratings if since <= r["created_at"] <= until]
            return Answer(self._page(asked, found))
        if asked.method == "POST" and what in ("conversations/filter", "contacts/filter"):
            return self._filtered(asked, what.split("/")[0])
        ident = what.removeprefix("conversations/").removesuffix("/messages")
        if ident in self.messages and asked.method == "GET":
            after = int(asked.query["after"])
            found = [m for m in self.messages[ident] if not after or _id(m) > after]
            shown = found[:3] if after else found[:5]
            return Answer({"meta": {"contact": {}, "labels": []}, "payload": shown})
        return Answer({"error": "Resource could not be found"}, 404)

    def _filtered(self, asked: Asked, what: str) -> Answer:
        (condition,) = json.loads(asked.content)["payload"]
        assert condition["attribute_key"] == "last_activity_at"
        assert condition["filter_operator"] == "is_greater_than"
        day = dt.date.fromisoformat(condition["values"][0])
        records = self.conversations if what == "conversations" else CONTACTS
        found = [
            r
            for r in records
            if dt.datetime.fromtimestamp(r["last_activity_at"], dt.UTC).date() > day
        ]
        found.sort(key=lambda r: -r["last_activity_at"])
        count = "all_count" if what == "conversations" else "count"
        n_all = len(found) + len(self.junk)
        return Answer({"meta": {count: n_all}, "payload": self._page(asked, found)})

    def _page(self, asked: Asked, found: list[Any]) -> list[Any]:
        page = int(asked.query.get("page", 1))
        start = (page - 1) * self.page_size
        return found[start : start + self.page_size] + (self.junk if page == 1 else [])


def _id(record: Any) -> int:
    ident = record.get("id") if isinstance(record, dict) else None
    return ident if isinstance(ident, int) else 0
