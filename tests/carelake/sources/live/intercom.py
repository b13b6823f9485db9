"""Intercom 2.14 as its OpenAPI description has it: searches by POST, one conversation at a time.

Conversations, parts, contacts and admins have the form of the examples in
`shared/data/api_fixtures/intercom`.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any

from tests.carelake.sources.faulty_api import Answer, Asked, Service

ANN, LEAD = "6762f1261bb69f9f2193bba7", "6762f1261bb69f9f2193bba8"


def at(minute: int) -> int:
    """A time as Intercom writes it."""
    return int(dt.datetime(2024, 5, 1, 10, minute, tzinfo=dt.UTC).timestamp())


def ours(minute: int) -> str:
    """The same as the raw tables have it."""
    return f"2024-05-01T10:{minute:02d}:00.000000Z"


def author(kind: str, ident: str, name: str, email: str | None = None) -> dict[str, Any]:
    """Who wrote something."""
    return {"type": kind, "id": ident, "name": name, "email": email}


CIARAN = author("admin", "991267715", "Ciaran Lee", "ciaran@shop.example")
FIN = author("bot", "278", "Fin", "operator+abcd1234@intercom.io")


def part(
    ident: int, kind: str, who: dict[str, Any], body: str | None, minute: int, **more: Any
) -> dict[str, Any]:
    """A part of a conversation."""
    return {
        "type": "conversation_part",
        "id": str(ident),
        "part_type": kind,
        "body": body,
        "created_at": at(minute),
        "updated_at": at(minute),
        "author": who,
        "redacted": False,
        **more,
    }


def conversation(
    ident: str, who: dict[str, Any], body: str, kind: str, minute: int, updated: int, **more: Any
) -> dict[str, Any]:
    """A conversation as searches give it."""
    source = {
        "type": kind,
        "id": f"40391{ident}",
        "delivered_as": "customer_initiated",
        "subject": "",
        "body": body,
        "author": who,
        "redacted": False,
    }
    return {
        "type": "conversation", "id": ident, "created_at": at(minute), "updated_at": at(updated), "source": source,
        "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": who["id"], "external_id": "70"}]},
        "admin_assignee_id": 991267715, "state": "open", "title": None, "priority": "not_priority",
        "statistics": None, "conversation_rating": None, "custom_attributes": {}, **more,
    }  # fmt: skip


PERSON, SOMEBODY = author("user", ANN, "Ann", "ann.i@example.org"), author("lead", LEAD, "", None)
RATING = {
    "rating": 4,
    "remark": "quick 很快",
    "created_at": at(40),
    "contact": {"type": "contact", "id": ANN},
}


def conversations() -> list[dict[str, Any]]:
    """The conversations."""
    return [
        conversation("503", PERSON, "<p>Does it ship to <b>Cork</b>?</p>", "conversation", 10, 41, state="closed", statistics={"last_close_at": at(30)}, conversation_rating=RATING),
        conversation("504", SOMEBODY, "<p>Hello</p>", "email", 12, 13, state="snoozed", admin_assignee_id=0),
    ]  # fmt: skip


PARTS: dict[str, list[Any]] = {
    "503": [
        part(1, "comment", FIN, "<p>One moment</p>", 11),
        part(2, "note", CIARAN, "<p>VIP!</p>", 14),
        part(3, "assignment", CIARAN, None, 15),
        part(4, "comment", CIARAN, "<p>It does</p>", 20),
        part(5, "comment", PERSON, None, 22, redacted=True),
        part(6, "close", CIARAN, "<p>Bye</p>", 30),
        part(7, "conversation_attribute_updated_by_admin", FIN, None, 31),
    ],
    "504": [],
}
CONTACTS = [
    {"type": "contact", "id": ANN, "external_id": "70", "role": "user", "email": "ann.i@example.org", "phone": "+353 1 679 9000", "name": "Ann", "owner_id": 991267715, "language_override": None, "location": {"type": "location", "country": "Ireland", "city": "Dublin"}, "created_at": at(0), "updated_at": at(5)},
    {"type": "contact", "id": LEAD, "external_id": None, "role": "lead", "email": None, "phone": None, "name": None, "owner_id": None, "language_override": None, "location": {"type": "location", "country": None, "city": None}, "created_at": at(1), "updated_at": at(6)},
]  # fmt: skip
ADMINS = [
    {
        "type": "admin",
        "id": "991267715",
        "name": "Ciaran Lee",
        "email": "ciaran@shop.example",
        "team_ids": [],
    }
]

EXPECTED: dict[str, list[dict[str, Any]]] = {
    "conversations": [
        {"conversation_id": "messenger:503", "channel": "chat", "status": "closed", "customer_id": ANN, "agent": "messenger:991267715", "opened_at": ours(10), "closed_at": ours(30), "survey_kind": "csat", "survey_score": "4", "survey_remark": "quick 很快", "survey_at": ours(40), "updated_at": ours(41), "attributes": {"priority": "not_priority"}},
        {"conversation_id": "messenger:504", "channel": "email", "status": "on hold", "customer_id": LEAD, "opened_at": ours(12), "updated_at": ours(13), "attributes": {"priority": "not_priority"}},
    ],
    "communications": [
        {"communication_id": "messenger:source:40391503", "conversation_id": "messenger:503", "channel": "chat", "direction": "inbound", "customer_id": ANN, "email": "ann.i@example.org", "customer_name": "Ann", "sent_at": ours(10), "body": "Does it ship to Cork?", "is_automatic": "false", "updated_at": ours(10)},
        {"communication_id": "messenger:1", "conversation_id": "messenger:503", "channel": "chat", "direction": "outbound", "customer_id": ANN, "sent_at": ours(11), "body": "One moment", "is_automatic": "true", "updated_at": ours(11)},
        {"communication_id": "messenger:4", "conversation_id": "messenger:503", "channel": "chat", "direction": "outbound", "customer_id": ANN, "agent": "messenger:991267715", "sent_at": ours(20), "body": "It does", "is_automatic": "false", "updated_at": ours(20)},
        {"communication_id": "messenger:5", "conversation_id": "messenger:503", "channel": "chat", "direction": "inbound", "customer_id": ANN, "email": "ann.i@example.org", "customer_name": "Ann", "sent_at": ours(22), "is_automatic": "false", "updated_at": ours(22), "is_deleted": "true"},
        {"communication_id": "messenger:6", "conversation_id": "messenger:503", "channel": "chat", "direction": "outbound", "customer_id": ANN, "agent": "messenger:991267715", "sent_at": ours(30), "body": "Bye", "is_automatic": "false", "updated_at": ours(30)},
        {"communication_id": "messenger:source:40391504", "conversation_id": "messenger:504", "channel": "email", "direction": "inbound", "customer_id": LEAD, "sent_at": ours(12), "body": "Hello", "is_automatic": "false", "updated_at": ours(12)},
    ],
    "customers": [
        {"customer_id": ANN, "customer_name": "Ann", "email": "ann.i@example.org", "phone": "+353 1 679 9000", "city": "Dublin", "country": "Ireland", "agent": "messenger:991267715", "created_at": ours(0), "updated_at": ours(5)},
        {"customer_id": LEAD, "created_at": ours(1), "updated_at": ours(6)},
    ],
    "agents": [
        {"agent_id": "messenger:991267715", "agent_name": "Ciaran Lee", "email": "ciaran@shop.example"},
    ],
}  # fmt: skip
"""What is in the raw tables after one extract and load, worked out by hand; no NULL is written."""


@dataclass
class Intercom(Service):
    """A workspace of two conversations."""

    conversations: list[dict[str, Any]] = field(default_factory=conversations)
    parts: dict[str, list[Any]] = field(default_factory=lambda: dict(PARTS))
    junk: list[Any] = field(default_factory=list)
    page_size: int = 1
    spoilt = ("conversations", "communications", "customers", "agents")

    def __post_init__(self) -> None:
        self.token = "s3cret"

    def before(self) -> None:
        """Before anybody answered."""
        self.conversations[0] |= {
            "updated_at": at(11),
            "state": "open",
            "statistics": None,
            "conversation_rating": None,
        }
        self.parts["503"] = PARTS["503"][:1]

    def after(self) -> None:
        """As `conversations` has it."""
        self.conversations, self.parts = conversations(), dict(PARTS)

    def expire(self) -> None:
        """An access token does not run out."""

    def spoil(self) -> int:
        """Put records of no known form on every first page; gives how many are no object there."""
        odd = {
            "id": {"a": 1},
            "source": 3,
            "contacts": [],
            "state": {},
            "author": "x",
            "location": 1,
            "statistics": "none",
        }
        self.junk = ["no record", 17, {"id": None}, {}, odd]
        self.parts["503"] = [
            *PARTS["503"],
            "no part",
            3,
            {"part_type": "comment", "body": 5, "author": []},
        ]
        return 2 * 3  # of messages, the listing lands nothing

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != f"Bearer {self.token}":
            return refused(401, "unauthorized", "Access Token Invalid")
        if asked.path == "/admins":
            return Answer({"type": "admin.list", "admins": ADMINS + self.junk})
        if asked.method == "GET" and asked.path.startswith("/conversations/"):
            found = [c for c in self.conversations if asked.path.endswith(f"/{c['id']}")]
            if not found:
                return refused(404, "not_found", "Resource Not Found")
            parts = self.parts[found[0]["id"]]
            whole = {
                "type": "conversation_part.list",
                "conversation_parts": parts,
                "total_count": len(parts),
            }
            return Answer({**found[0], "conversation_parts": whole})
        listings = {
            "/contacts/search": ("data", CONTACTS),
            "/conversations/search": ("conversations", self.conversations),
        }
        if asked.method != "POST" or asked.path not in listings:
            return refused(404, "not_found", "Resource Not Found")
        key, records = listings[asked.path]
        body = json.loads(asked.content)
        query, start = body["query"], 0
        assert query["field"] == "updated_at" and query["operator"] == ">"
        found = sorted(
            (r for r in records if r["updated_at"] > int(query["value"])),
            key=lambda r: r["updated_at"],
        )
        word = body["pagination"].get("starting_after")
        if word is not None:
            if word not in self.places:
                return refused(400, "parameter_invalid", "starting_after is invalid")
            found, start = self.places[word]
        end = start + self.page_size
        pages: dict[str, Any] = {
            "type": "pages",
            "page": 1,
            "per_page": self.page_size,
            "total_pages": 2,
        }
        if end < len(found):
            pages["next"] = {"page": 2, "starting_after": self.place((found, end))}
        shown = found[start:end] + ([] if start else self.junk)
        return Answer({"type": "list", key: shown, "total_count": len(found), "pages": pages})


def refused(status: int, code: str, message: str) -> Answer:
    """An error as Intercom writes it."""
    return Answer(
        {"type": "error.list", "request_id": "x", "errors": [{"code": code, "message": message}]},
        status,
    )
