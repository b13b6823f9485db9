"""Facebook's Graph API as its documentation describes it: addresses of next pages that hold the access token.

Posts, comments, conversations and messages have the form of `shared/data/api_fixtures/facebook_graph`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.carelake.sources.faulty_api import Answer, Asked, Service

PAGE, ANN, BEN = "2121008874780932", "2711636948859886", "2711636948859999"
ROOT = f"/v23.0/{PAGE}"
US = {"id": PAGE, "name": "Shop", "email": f"{PAGE}@facebook.com"}
THEY = {
    ANN: {"id": ANN, "name": "Ann", "email": f"{ANN}@facebook.com"},
    BEN: {"id": BEN, "name": "小本", "email": f"{BEN}@facebook.com"},
}


def at(minute: int) -> str:
    """A time as Facebook writes it."""
    return f"2024-05-01T10:{minute:02d}:00+0000"


def ours(minute: int) -> str:
    """The same as the raw tables have it."""
    return f"2024-05-01T10:{minute:02d}:00.000000Z"


NEWS, ASKED = f"{PAGE}_1", f"{PAGE}_2"


def posts() -> list[dict[str, Any]]:
    """Posts of the page's feed, newest first, as they are in the end."""
    return [
        {"id": ASKED, "message": "Do you open on Sunday?", "from": {"id": BEN, "name": "小本"}, "created_time": at(12), "updated_time": at(12)},
        {"id": NEWS, "message": "New lamps!", "from": {"id": PAGE, "name": "Shop"}, "created_time": at(10), "updated_time": at(30)},
    ]  # fmt: skip


def comment(ident: str, minute: int, who: str | None, text: str, **more: Any) -> dict[str, Any]:
    """A comment under the news."""
    person = {"id": who, "name": "Shop" if who == PAGE else THEY[who]["name"]} if who else None
    said = {"id": ident, "message": text, "created_time": at(minute), "object": {"id": NEWS}}
    return {**said, **({"from": person} if person else {}), **more}


COMMENTS: dict[str, list[Any]] = {
    NEWS: [
        comment("1_11", 15, ANN, "Mine is broken 坏了"),
        comment("1_12", 20, PAGE, "We are sorry, Ann", parent={"id": "1_11"}),
        comment("1_13", 25, None, "", attachment={"type": "photo", "title": "lamp.jpg"}),
        comment("1_14", 30, ANN, "Thanks", parent={"id": "1_11"}),
    ],
    ASKED: [],
}
EARLY_COMMENTS = 2


def message(ident: str, minute: int, who: str, whom: str, text: str, **more: Any) -> dict[str, Any]:
    """A message of the inbox."""
    persons = {**THEY, PAGE: US}
    return {
        "id": ident, "message": text, "created_time": at(minute), "from": persons[who],
        "to": {"data": [persons[whom]]}, **more,
    }  # fmt: skip


MESSAGES: dict[str, list[Any]] = {
    "t_1": [
        message("m_3", 45, PAGE, ANN, "It is on its way"),
        message("m_2", 42, ANN, PAGE, "", attachments={"data": [{"name": "image-65", "mime_type": "image/jpeg"}], "paging": {"next": "TOKEN"}}),
        message("m_1", 40, ANN, PAGE, "Where is it?"),
    ],
    "t_2": [message("m_9", 35, BEN, PAGE, "Hello")],
}  # fmt: skip


def said(ident: str, minute: int, **more: Any) -> dict[str, Any]:
    """A row, as far as all have the same."""
    return {"communication_id": ident, "channel": "social", "sent_at": ours(minute), **more}


EXPECTED: dict[str, list[dict[str, Any]]] = {
    "communications": [
        said(ASKED, 12, conversation_id=ASKED, direction="inbound", customer_id=BEN, customer_name="小本", body="Do you open on Sunday?", updated_at=ours(12)),
        said("1_11", 15, conversation_id="1_11", in_reply_to=NEWS, direction="inbound", customer_id=ANN, customer_name="Ann", body="Mine is broken 坏了", updated_at=ours(15)),
        said("1_12", 20, conversation_id="1_11", in_reply_to="1_11", direction="outbound", body="We are sorry, Ann", updated_at=ours(20)),
        said("1_13", 25, conversation_id="1_13", in_reply_to=NEWS, direction="inbound", body="lamp.jpg", updated_at=ours(25)),
        said("1_14", 30, conversation_id="1_11", in_reply_to="1_11", direction="inbound", customer_id=ANN, customer_name="Ann", body="Thanks", updated_at=ours(30)),
        said("m_3", 45, conversation_id=f"inbox:{ANN}", direction="outbound", customer_id=ANN, customer_name="Ann", body="It is on its way", updated_at=ours(45)),
        said("m_2", 42, conversation_id=f"inbox:{ANN}", direction="inbound", customer_id=ANN, customer_name="Ann", body="image-65", updated_at=ours(42)),
        said("m_1", 40, conversation_id=f"inbox:{ANN}", direction="inbound", customer_id=ANN, customer_name="Ann", body="Where is it?", updated_at=ours(40)),
        said("m_9", 35, conversation_id=f"inbox:{BEN}", direction="inbound", customer_id=BEN, customer_name="小本", body="Hello", updated_at=ours(35)),
    ],
}  # fmt: skip
"""What is in the raw tables after one extract and load, worked out by hand; no NULL is written."""


@dataclass
class Facebook(Service):
    """A page with two posts and two conversations."""

    posts: list[dict[str, Any]] = field(default_factory=posts)
    comments: dict[str, list[Any]] = field(default_factory=lambda: dict(COMMENTS))
    messages: dict[str, list[Any]] = field(default_factory=lambda: dict(MESSAGES))
    junk: list[Any] = field(default_factory=list)
    n_limited: int = 2
    page_size: int = 2
    spoilt = ("communications",)

    def __post_init__(self) -> None:
        self.token = "EAAGm0PX4ZCps3cret"

    def before(self) -> None:
        """Before the news were commented on again, and a message answered."""
        self.posts[1]["updated_time"] = at(20)
        self.comments[NEWS] = COMMENTS[NEWS][:EARLY_COMMENTS]
        self.messages["t_1"] = MESSAGES["t_1"][1:]

    def after(self) -> None:
        """As it is in the end."""
        self.posts, self.comments, self.messages = posts(), dict(COMMENTS), dict(MESSAGES)

    def expire(self) -> None:
        """A page's access token does not run out."""

    def spoil(self) -> int:
        """Put records of no known form on pages; gives how many are no object there."""
        odd = {"id": {"a": 1}, "from": 3, "to": "x", "parent": [], "created_time": "soon"}
        self.junk = ["no record", 17, {"id": None}, {}, odd]
        self.comments[NEWS] = [*self.junk, *COMMENTS[NEWS]]
        self.messages["t_1"] = [*self.junk, *MESSAGES["t_1"]]
        return 2 * 3

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != f"Bearer {self.token}":
            return refused(190, "Invalid OAuth access token.", 400)
        if self.n_limited:
            self.n_limited -= 1
            return refused(32, "Page request limit reached", 400)
        if "after" in asked.query:
            if asked.query["after"] not in self.places:
                return refused(100, "Invalid parameter: after", 400)
            return self._page(asked, *self.places[asked.query["after"]])
        fields = asked.query.get("fields", "").split(",")
        if asked.path == f"{ROOT}/feed":
            since = int(asked.query.get("since", 0))
            found: list[Any] = [p for p in self.posts if _epoch(p["created_time"]) >= since]
            junk = self.junk if "message" in fields else []
            return self._page(asked, [_shown(p, fields) for p in found] + junk, 0)
        if asked.path == f"{ROOT}/conversations":
            found = [{"id": ident, "updated_time": self._newest(ident)} for ident in self.messages]
            found.sort(key=lambda c: str(c["updated_time"]), reverse=True)
            return self._page(asked, found, 0)
        ident, _, what = asked.path.removeprefix("/v23.0/").partition("/")
        known = {"comments": self.comments, "messages": self.messages}.get(what, {})
        if ident not in known:
            return refused(100, f"Object with ID '{ident}' does not exist", 404)
        if what == "comments":
            assert asked.query["filter"] == "stream"
        return self._page(asked, known[ident], 0)

    def _newest(self, ident: str) -> str:
        told = [
            m["created_time"] for m in self.messages[ident] if isinstance(m, dict) and "to" in m
        ]
        return max(str(moment) for moment in told if moment != "soon")

    def _page(self, asked: Asked, found: list[Any], start: int) -> Answer:
        end = start + self.page_size
        token = quote(self.token)
        shown = [_with_token(record, token) for record in found[start:end]]
        body: dict[str, Any] = {"data": shown}
        if shown:
            body["paging"] = {"cursors": {"before": "a", "after": "b"}}
        if end < len(found):
            place = self.place((found, end))
            rest = f"access_token={token}&pretty=0&limit={self.page_size}&after={place}"
            body["paging"]["next"] = f"{self.url}{asked.path}?{rest}"
        if start:
            body["paging"]["previous"] = f"{self.url}{asked.path}?access_token={token}&before=x"
        return Answer(body)


def _with_token(record: Any, token: str) -> Any:
    """A message whose attachments go on elsewhere, with the token in that address."""
    if not isinstance(record, dict) or "attachments" not in record:
        return record
    more = {"next": f"https://graph.facebook.com/v23.0/x/attachments?access_token={token}"}
    return {**record, "attachments": {**record["attachments"], "paging": more}}


def _shown(record: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name in fields}


def _epoch(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp())


def refused(code: int, message: str, status: int) -> Answer:
    """An error as Facebook writes it."""
    error = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "x"}
    return Answer({"error": error}, status)
