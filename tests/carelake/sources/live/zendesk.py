"""Zendesk Support as its documentation describes it: incremental exports, cursors, Basic login.

Tickets, ticket events and ratings have the form of `shared/data/api_fixtures/zendesk` (`airbyte_*.json`).
"""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.carelake.sources.faulty_api import Answer, Asked, Service

ANN, BEN, AMY_AGENT = 20978392, 20978393, 235323
TICKET, GONE = 35436, 35437
EVENT_PATH = "/api/v2/incremental/ticket_events.json"


def at(minute: int) -> str:
    """A time as Zendesk writes it."""
    return f"2024-05-01T10:{minute:02d}:00Z"


def epoch(minute: int) -> int:
    """The same as a number."""
    return int(dt.datetime(2024, 5, 1, 10, minute, tzinfo=dt.UTC).timestamp())


def ours(minute: int) -> str:
    """The same as the raw tables have it."""
    return f"2024-05-01T10:{minute:02d}:00.000000Z"


def ticket(ident: int, minute: int, **more: Any) -> dict[str, Any]:
    """A ticket of the export."""
    return {
        "id": ident, "generated_timestamp": epoch(minute), "created_at": at(10), "updated_at": at(minute),
        "description": "The lamp is broken", "raw_subject": "{{dc.lamp}}", "subject": "Broken lamp", "type": "incident",
        "priority": "high", "tags": ["lamp", "vip"], "requester_id": ANN, "assignee_id": AMY_AGENT, "status": "open",
        "via": {"channel": "web"}, "satisfaction_rating": {"score": "offered"}, "custom_fields": [], **more,
    }  # fmt: skip


def comment(ident: int, author: int, body: str | None, minute: int, **more: Any) -> dict[str, Any]:
    """A comment among the child events."""
    return {
        "id": ident,
        "event_type": "Comment",
        "type": "Comment",
        "body": body,
        "public": True,
        "author_id": author,
        "created_at": at(minute),
        **more,
    }


def event(ident: int, minute: int, children: list[Any], ticket_id: int = TICKET) -> dict[str, Any]:
    """A ticket event."""
    return {
        "id": ident,
        "ticket_id": ticket_id,
        "timestamp": epoch(minute),
        "updater_id": ANN,
        "via": "Web form",
        "child_events": children,
    }


def tickets() -> list[dict[str, Any]]:
    """The tickets."""
    return [
        ticket(TICKET, 40, status="closed", metric_set={"solved_at": at(35)}),
        ticket(GONE, 41, status="deleted", subject="SCRUBBED", requester_id=BEN, assignee_id=None, via={"channel": "voice"}, created_at=at(12)),
    ]  # fmt: skip


EVENTS = [
    event(901, 10, [comment(1, ANN, "The lamp is broken 坏了", 10), {"id": 2, "event_type": "Create", "assignee_id": 777, "previous_value": None}]),
    event(902, 11, [comment(3, -1, "We have got your request", 11, via={"channel": "rule"})]),
    event(903, 15, [{"id": 4, "event_type": "Change", "assignee_id": AMY_AGENT, "previous_value": "777"}, comment(5, AMY_AGENT, "Ask the warehouse", 15, public=False)]),
    event(904, 20, [comment(6, AMY_AGENT, None, 20, html_body="<div>A new one <b>is</b> on its way</div>", via={"channel": "email"})]),
    event(905, 21, [comment(7, AMY_AGENT, "Oops, other customer's address", 21)]),
    event(906, 22, [{"id": 8, "event_type": "CommentPrivacyChange", "comment_id": 7, "public": False}]),
    event(907, 30, []),
    event(908, 12, [comment(9, BEN, "Hello?", 12, via={"channel": "voice"})], GONE),
]  # fmt: skip
RATINGS = [
    {"id": 501, "ticket_id": TICKET, "requester_id": ANN, "assignee_id": AMY_AGENT, "score": "good", "comment": "Great support!", "created_at": at(50), "updated_at": at(50)},
    {"id": 502, "ticket_id": TICKET, "requester_id": ANN, "assignee_id": AMY_AGENT, "score": "offered", "comment": None, "created_at": at(45), "updated_at": at(45)},
]  # fmt: skip
USERS = [
    {"id": ANN, "name": "Ann", "email": "ann.z@example.org", "phone": None, "locale": "en-GB", "role": "end-user", "active": True, "created_at": at(0), "updated_at": at(5)},
    {"id": BEN, "name": "Ben", "email": None, "phone": "+49 30 901820", "locale": "de", "role": "end-user", "active": True, "created_at": at(1), "updated_at": at(6)},
    {"id": AMY_AGENT, "name": "Amy Agent", "email": "amy@shop.example", "phone": None, "locale": "en-GB", "role": "agent", "active": True, "created_at": at(0), "updated_at": at(7)},
]  # fmt: skip

EXPECTED: dict[str, list[dict[str, Any]]] = {
    "conversations": [
        {"conversation_id": "support:35436", "channel": "email", "status": "closed", "category": "incident", "subject": "Broken lamp", "customer_id": "support:20978392", "agent": "support:235323", "opened_at": ours(10), "closed_at": ours(35), "updated_at": ours(40), "attributes": {"priority": "high", "tags": '["lamp","vip"]'}},
        {"conversation_id": "support:35437", "channel": "phone", "status": "open", "category": "incident", "subject": "SCRUBBED", "customer_id": "support:20978393", "opened_at": ours(12), "updated_at": ours(41), "is_deleted": "true", "attributes": {"priority": "high", "tags": '["lamp","vip"]'}},
    ],
    "communications": [
        {"communication_id": "support:1", "conversation_id": "support:35436", "channel": "email", "customer_id": "support:20978392", "from_address": "support:20978392", "sent_at": ours(10), "body": "The lamp is broken 坏了", "is_automatic": "false", "updated_at": ours(10)},
        {"communication_id": "support:3", "conversation_id": "support:35436", "direction": "outbound", "sent_at": ours(11), "body": "We have got your request", "is_automatic": "true", "updated_at": ours(11)},
        {"communication_id": "support:6", "conversation_id": "support:35436", "channel": "email", "customer_id": "support:235323", "from_address": "support:235323", "sent_at": ours(20), "body": "A new one is on its way", "is_automatic": "false", "updated_at": ours(20)},
        {"communication_id": "support:7", "conversation_id": "support:35436", "channel": "email", "customer_id": "support:235323", "from_address": "support:235323", "sent_at": ours(21), "body": "Oops, other customer's address", "is_automatic": "false", "updated_at": ours(21)},
        {"communication_id": "support:7", "conversation_id": "support:35436", "channel": "email", "sent_at": ours(22), "is_automatic": "false", "updated_at": ours(22), "is_deleted": "true"},
        {"communication_id": "support:9", "conversation_id": "support:35437", "channel": "phone", "customer_id": "support:20978393", "from_address": "support:20978393", "sent_at": ours(12), "body": "Hello?", "is_automatic": "false", "updated_at": ours(12)},
    ],
    "events": [
        {"event_id": "support:2", "event_name": "assigned", "conversation_id": "support:35436", "occurred_at": ours(10), "updated_at": ours(10)},
        {"event_id": "support:4", "event_name": "handed_over", "conversation_id": "support:35436", "occurred_at": ours(15), "updated_at": ours(15)},
    ],
    "survey_responses": [
        {"survey_id": "support:501", "survey_kind": "csat", "survey_score": "5", "survey_remark": "Great support!", "conversation_id": "support:35436", "customer_id": "support:20978392", "responded_at": ours(50), "updated_at": ours(50)},
    ],
    "customers": [
        {"customer_id": "support:20978392", "customer_name": "Ann", "email": "ann.z@example.org", "language": "en-GB", "created_at": ours(0), "updated_at": ours(5)},
        {"customer_id": "support:20978393", "customer_name": "Ben", "phone": "+49 30 901820", "language": "de", "created_at": ours(1), "updated_at": ours(6)},
    ],
    "agents": [
        {"agent_id": "support:235323", "agent_name": "Amy Agent", "email": "amy@shop.example", "updated_at": ours(7)},
    ],
}  # fmt: skip
"""What is in the raw tables after one extract and load, worked out by hand; no NULL is written."""


@dataclass
class Zendesk(Service):
    """An account of two tickets."""

    tickets: list[dict[str, Any]] = field(default_factory=tickets)
    junk: list[Any] = field(default_factory=list)
    spoilt = (
        "conversations",
        "communications",
        "survey_responses",
        "customers",
        "agents",
        "events",
    )

    def __post_init__(self) -> None:
        self.token = "s3cret"

    def before(self) -> None:
        """Before the second ticket was deleted."""
        self.tickets[1] = {
            **tickets()[1],
            "status": "open",
            "generated_timestamp": epoch(13),
            "updated_at": at(13),
        }

    def after(self) -> None:
        """As `tickets` has it."""
        self.tickets = tickets()

    def expire(self) -> None:
        """An API token does not run out."""

    def spoil(self) -> int:
        """Put records of no known form on every first page; gives how many are no object there."""
        odd = {
            "id": {"a": 1},
            "via": 3,
            "metric_set": [],
            "score": {},
            "child_events": "none",
            "timestamp": "soon",
        }
        children = {
            "id": 5,
            "ticket_id": 1,
            "child_events": ["no event", 7, {"event_type": "Comment", "public": True}],
        }
        self.junk = ["no record", 17, {"id": None}, {}, odd, children]
        return 2 * 6

    def answer(self, asked: Asked) -> Answer:
        login = base64.b64encode(b"api@shop.example/token:s3cret").decode()
        if asked.headers.get("Authorization") != f"Basic {login}":
            return Answer({"error": "Couldn't authenticate you"}, 401)
        if "cursor" in asked.query or "page[after]" in asked.query:
            place = asked.query.get("cursor") or asked.query.get("page[after]")
            if place not in self.places:
                return Answer({"error": "InvalidValue", "description": "cursor is not valid"}, 400)
            return self._page(asked, *self.places[place])
        since = int(asked.query.get("start_time", 0))
        counts = {"/api/v2/tickets/count.json": 1, "/api/v2/users/count.json": 2}
        if self.tickets[1]["status"] != "deleted":
            counts["/api/v2/tickets/count.json"] = 2
        if asked.path in counts:
            return Answer({"count": {"value": counts[asked.path], "refreshed_at": at(0)}})
        if asked.path.startswith("/api/v2/incremental/") and not since:
            return Answer({"error": "InvalidValue", "description": "start_time is required"}, 422)
        match asked.path:
            case "/api/v2/incremental/tickets/cursor.json":
                found = [
                    t
                    if asked.query.get("include") == "metric_sets"
                    else {k: v for k, v in t.items() if k != "metric_set"}
                    for t in self.tickets
                    if t["generated_timestamp"] >= since
                ]
                return self._page(asked, "tickets", found, 0)
            case "/api/v2/incremental/users/cursor.json":
                found = [u for u in USERS if moment(u["updated_at"]) >= since]
                return self._page(asked, "users", found, 0)
            case "/api/v2/incremental/ticket_events.json":
                with_comments = asked.query.get("include") == "comment_events"
                found = [
                    e if with_comments else without_comments(e)
                    for e in EVENTS
                    if e["timestamp"] >= since
                ]
                return self._page(asked, "ticket_events", found, 0)
            case "/api/v2/satisfaction_ratings.json":
                found = [r for r in RATINGS if moment(r["updated_at"]) >= since]
                return self._page(asked, "satisfaction_ratings", found, 0)
            case "/api/v2/users.json" if "role[]=agent&role[]=admin" in unquote(asked.target):
                return self._page(asked, "users", [u for u in USERS if u["role"] == "agent"], 0)
        return Answer({"error": "InvalidEndpoint", "description": "Not found"}, 404)

    def _page(self, asked: Asked, key: str, found: list[dict[str, Any]], start: int) -> Answer:
        end = start + self.page_size
        is_last = end >= len(found)
        body: dict[str, Any] = {key: found[start:end] + ([] if start else self.junk)}
        place = self.place((key, found, end))
        if asked.path == EVENT_PATH:
            # the next address is there at the end too
            body |= {
                "next_page": f"{self.url}{asked.path}?cursor={place}",
                "end_of_stream": is_last,
                "count": len(body[key]),
            }
        elif "/incremental/" in asked.path:
            body |= {
                "after_url": f"{self.url}{asked.path}?cursor={place}",
                "end_of_stream": is_last,
            }
        else:
            link = f"{self.url}{asked.path}?page%5Bafter%5D={place}"
            body |= {"meta": {"has_more": not is_last}, "links": {"next": link, "prev": None}}
        return Answer(body)


def moment(text: str) -> int:
    """A time as a number."""
    return int(dt.datetime.fromisoformat(text).timestamp())


def without_comments(told: dict[str, Any]) -> dict[str, Any]:
    """A ticket event as it comes unless comments are asked for."""
    children = [
        {k: v for k, v in child.items() if k not in ("body", "html_body", "author_id")}
        for child in told["child_events"]
    ]
    return {**told, "child_events": children}
