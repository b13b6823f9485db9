"""Chatwoot's application API over an account: filters by day, numbered pages, messages one by one."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from carelake.sample.live.chatwoot import ACCOUNT, Chat
from carelake.sample.live.http import Answer, Asked

TOKEN = "access-token"
CONVERSATIONS, CONTACTS, RATINGS, MESSAGES, NEWEST = 25, 15, 25, 100, 20
"""How many records a page has; of messages, after one or without saying which."""
_BASE = f"/api/v1/accounts/{ACCOUNT}/"
_MESSAGES = re.compile(r"conversations/(\d+)/messages")


class ChatwootApi:
    """Answers as a Chatwoot of one's own does."""

    def __init__(self, chat: Chat) -> None:
        """Serve what an account holds."""
        self._chat = chat

    def answer(self, asked: Asked) -> Answer | None:
        """Answer what is asked below `/api/v1`; None to any other path."""
        what = asked.path.removeprefix(_BASE)
        if what == asked.path:
            return None
        if asked.headers.get("api_access_token") != TOKEN:
            return Answer({"error": "Invalid Access Token"}, 401)
        of_one = _MESSAGES.fullmatch(what)
        if of_one:
            return self._messages(asked, int(of_one[1]))
        match asked.method, what:
            case "GET", "agents":
                return Answer(self._chat.agents)
            case "GET", "csat_survey_responses":
                since, until = (_number(asked, name) for name in ("since", "until"))
                found = [r for r in self._chat.ratings if since <= r["created_at"] <= until]
                return Answer(_page(asked, found, RATINGS))
            case "POST", "conversations/filter":
                return _filtered(asked, self._chat.conversations, "all_count", CONVERSATIONS)
            case "POST", "contacts/filter":
                return _filtered(asked, list(self._chat.contacts.values()), "count", CONTACTS)
        return _unknown()

    def _messages(self, asked: Asked, conversation: int) -> Answer:
        messages = self._chat.messages.get(conversation)
        if messages is None:
            return _unknown()
        if "after" in asked.query:
            after = _number(asked, "after")
            shown = [m for m in messages if m["id"] > after][:MESSAGES]
        else:
            shown = messages[-NEWEST:]
        return Answer({"meta": {"labels": [], "contact": {}}, "payload": shown})


def _filtered(asked: Asked, records: list[dict[str, Any]], count: str, size: int) -> Answer:
    """What was active after a day, the newest first."""
    try:
        (condition,) = asked.body["payload"]
        day = dt.date.fromisoformat(condition["values"][0])
        named = (condition["attribute_key"], condition["filter_operator"])
    except (KeyError, TypeError, ValueError, IndexError):
        return Answer({"error": "Invalid value. The values provided are invalid"}, 422)
    if named != ("last_activity_at", "is_greater_than"):
        return Answer({"error": f"Invalid attribute key - [{named[0]}]."}, 422)
    found = [
        r for r in records if dt.datetime.fromtimestamp(r["last_activity_at"], dt.UTC).date() > day
    ]
    found.sort(key=lambda record: (-record["last_activity_at"], record["id"]))
    return Answer({"meta": {count: len(found)}, "payload": _page(asked, found, size)})


def _page(asked: Asked, found: list[dict[str, Any]], size: int) -> list[dict[str, Any]]:
    start = (max(1, _number(asked, "page")) - 1) * size
    return found[start : start + size]


def _number(asked: Asked, name: str) -> int:
    text = asked.query.get(name, "")
    return int(text) if text.isdigit() else 0


def _unknown() -> Answer:
    return Answer({"error": "Resource could not be found"}, 404)
