"""Zendesk's API over an account: incremental exports, listings by cursor, counts."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any
from urllib.parse import quote

from carelake.sample.live.http import Answer, Asked, mark, place_of
from carelake.sample.live.zendesk import Desk

LOGIN, TOKEN = "api@hualong.example/token", "api-token"
EXPORT_PAGE, PAGE = 1000, 100
_AUTHORIZATION = "Basic " + base64.b64encode(f"{LOGIN}:{TOKEN}".encode()).decode()
Rows = list[dict[str, Any]]


class ZendeskApi:
    """Answers as `https://hualong.zendesk.com` would."""

    def __init__(self, desk: Desk) -> None:
        """Serve what an account holds."""
        self._desk = desk

    def answer(self, asked: Asked) -> Answer | None:
        """Answer what is asked below `/api/v2`; None to any other path."""
        what = asked.path.removeprefix("/api/v2/")
        if what == asked.path:
            return None
        if asked.headers.get("authorization") != _AUTHORIZATION:
            return Answer({"error": "Couldn't authenticate you"}, 401)
        desk, since = self._desk, _number(asked.query.get("start_time"))
        if what.startswith("incremental/") and not (since or asked.query.get("cursor")):
            return _refusal("start_time is required", 422)
        match what:
            case "incremental/tickets/cursor.json":
                return _export(asked, "tickets", self._tickets(asked), "generated_timestamp")
            case "incremental/users/cursor.json":
                return _export(asked, "users", desk.users, "updated_at")
            case "incremental/ticket_events.json":
                return _events(asked, self._events(asked), since)
            case "satisfaction_ratings.json":
                end = _number(asked.query.get("end_time")) or 2**40
                return _listing(asked, "satisfaction_ratings", [
                    rating for rating in desk.ratings if since <= _moment(rating["updated_at"]) < end
                ])  # fmt: skip
            case "users.json":
                return _listing(asked, "users", [u for u in desk.users if u["role"] == "agent"])
            case "tickets/count.json":
                return _count(len(desk.tickets))
            case "users/count.json":
                role = asked.query.get("role")
                return _count(sum(role in (None, user["role"]) for user in desk.users))
        return _refusal("Not found", 404, "InvalidEndpoint")

    def _tickets(self, asked: Asked) -> Rows:
        if "metric_sets" in asked.query.get("include", ""):
            return self._desk.tickets
        return [{k: v for k, v in t.items() if k != "metric_set"} for t in self._desk.tickets]

    def _events(self, asked: Asked) -> Rows:
        """Ticket events; their comments only where they are asked for."""
        if "comment_events" in asked.query.get("include", ""):
            return self._desk.events
        return [
            {
                **event,
                "child_events": [c for c in event["child_events"] if c["event_type"] != "Comment"],
            }
            for event in self._desk.events
        ]


def _export(asked: Asked, key: str, rows: Rows, field: str) -> Answer:
    """A page of an export by cursor: its word says where it began, and how far it is."""
    place = place_of(asked.query.get("cursor", "")) or [
        _number(asked.query.get("start_time")), 0, asked.query.get("include", ""),
    ]  # fmt: skip
    since, start, include = place
    found = sorted(
        (row for row in rows if _moment(row[field]) >= since),
        key=lambda row: (_moment(row[field]), row["id"]),
    )
    end = min(start + EXPORT_PAGE, len(found))
    cursor = mark(since, end, include)
    more = f"&include={quote(include)}" if include else ""
    return Answer(
        {
            key: found[start:end],
            "after_url": f"{asked.base}{asked.path}?cursor={cursor}{more}",
            "after_cursor": cursor,
            "end_of_stream": end >= len(found),
        }
    )


def _events(asked: Asked, rows: Rows, since: int) -> Answer:
    """A page of an export by time: the next begins with the last second of this one."""
    found = [row for row in rows if row["timestamp"] >= since]
    end_time = found[:EXPORT_PAGE][-1]["timestamp"] if found else since
    page = [row for row in found if row["timestamp"] <= end_time]
    include = quote(asked.query.get("include", ""))
    return Answer(
        {
            "ticket_events": page,
            "next_page": f"{asked.base}{asked.path}?start_time={end_time}&include={include}",
            "end_time": end_time,
            "end_of_stream": len(page) == len(found),
            "count": len(page),
        }
    )


def _listing(asked: Asked, key: str, rows: Rows) -> Answer:
    place = place_of(asked.query.get("page[after]", "")) or [0]
    size = min(PAGE, _number(asked.query.get("page[size]")) or PAGE)
    end = place[0] + size
    kept = "".join(
        f"&{quote(name)}={quote(value)}"
        for name, value in asked.query.items()
        if name != "page[after]"
    )
    link = f"{asked.base}{asked.path}?page%5Bafter%5D={mark(end)}{kept}"
    has_more = end < len(rows)
    return Answer(
        {
            key: rows[place[0] : end],
            "meta": {"has_more": has_more, "after_cursor": mark(end) if has_more else None},
            "links": {"next": link if has_more else None, "prev": None},
        }
    )


def _count(number: int) -> Answer:
    return Answer({"count": {"value": number, "refreshed_at": "2024-01-01T00:00:00Z"}})


def _refusal(description: str, status: int, error: str = "InvalidValue") -> Answer:
    return Answer({"error": error, "description": description}, status)


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def _moment(value: int | str) -> int:
    return value if isinstance(value, int) else int(datetime.fromisoformat(value).timestamp())
