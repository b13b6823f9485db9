"""X API v2 as its documentation describes it: timelines, newest first, whose authors stand beside the posts.

Posts, users and `meta` have the form of `shared/data/api_fixtures/x_twitter_v2`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from tests.carelake.sources.faulty_api import Answer, Asked, Service

US, ANN, BEN, OTHER_OURS = "900100", "700001", "700002", "900200"
PEOPLE = {
    US: {"id": US, "name": "The Shop", "username": "Shop"},
    OTHER_OURS: {"id": OTHER_OURS, "name": "Shop Help", "username": "ShopHelp"},
    ANN: {"id": ANN, "name": "Ann 🦉", "username": "Ann_X"},
    BEN: {"id": BEN, "name": "Ben", "username": "ben"},
}


def ident(number: int) -> str:
    """The id of a post: too long for a number of JavaScript."""
    return str(1790000000000000000 + number)


def at(minute: int) -> str:
    """A time as X writes it."""
    return f"2024-05-01T10:{minute:02d}:00.000Z"


def ours(minute: int) -> str:
    """The same as the raw tables have it."""
    return f"2024-05-01T10:{minute:02d}:00.000000Z"


def post(number: int, author: str, text: str, minute: int, **more: Any) -> dict[str, Any]:
    """A post."""
    return {
        "id": ident(number),
        "text": text,
        "author_id": author,
        "created_at": at(minute),
        "conversation_id": ident(number),
        "edit_history_tweet_ids": [ident(number)],
        "lang": "en",
        "public_metrics": {"like_count": 2, "reply_count": 0},
        **more,
    }


def answer_to(number: int, author: str) -> dict[str, Any]:
    """What makes a post an answer to another one."""
    referenced = [{"type": "replied_to", "id": ident(number)}]
    return {"in_reply_to_user_id": author, "referenced_tweets": referenced}


LONG = "@Shop " + "warum " * 60 + "nicht?"
TO_OURSELVES = post(9, US, "News from @Shop", 41)


def mentions() -> list[dict[str, Any]]:
    """What names us, oldest first."""
    return [
        post(1, ANN, "@Shop where is my &lt;lamp&gt; &amp; chair?", 10),
        post(3, ANN, "@Shop 👍", 30, conversation_id=ident(1), lang="und", **answer_to(2, US)),
        post(4, BEN, "RT @Shop: News", 31, referenced_tweets=[{"type": "retweeted", "id": ident(8)}]),
        # edited: the version before had the id that ends in 5
        post(6, BEN, LONG[:270] + "…", 40, conversation_id=ident(5), lang="de",
             edit_history_tweet_ids=[ident(5), ident(6)], note_tweet={"text": LONG}),
        TO_OURSELVES,
        post(10, OTHER_OURS, "@Shop can help", 42, conversation_id=ident(5), **answer_to(6, BEN)),
    ]  # fmt: skip


def posts() -> list[dict[str, Any]]:
    """What we wrote, oldest first."""
    return [
        post(2, US, "@Ann_X on its way", 20, conversation_id=ident(1), **answer_to(1, ANN)),
        TO_OURSELVES,
        post(11, US, "and more", 45, conversation_id=ident(9), **answer_to(9, US)),
    ]


LIKED = {"attributes": {"public_metrics.like_count": "2"}}
EXPECTED: dict[str, list[dict[str, Any]]] = {
    "communications": [
        {"communication_id": ident(1), "conversation_id": ident(1), "channel": "social", "direction": "inbound", "customer_id": ANN, "handle": "Ann_X", "customer_name": "Ann 🦉", "sent_at": ours(10), "body": "@Shop where is my <lamp> & chair?", "language": "en", "updated_at": ours(10), **LIKED},
        {"communication_id": ident(3), "conversation_id": ident(1), "in_reply_to": ident(2), "channel": "social", "direction": "inbound", "customer_id": ANN, "handle": "Ann_X", "customer_name": "Ann 🦉", "sent_at": ours(30), "body": "@Shop 👍", "updated_at": ours(30), **LIKED},
        {"communication_id": ident(5), "conversation_id": ident(5), "channel": "social", "direction": "inbound", "customer_id": BEN, "handle": "ben", "customer_name": "Ben", "sent_at": ours(40), "body": LONG, "language": "de", "updated_at": ours(40), **LIKED},
        {"communication_id": ident(10), "conversation_id": ident(5), "in_reply_to": ident(6), "channel": "social", "direction": "outbound", "customer_id": BEN, "handle": "ben", "customer_name": "Ben", "sent_at": ours(42), "body": "@Shop can help", "language": "en", "updated_at": ours(42), **LIKED},
        {"communication_id": ident(2), "conversation_id": ident(1), "in_reply_to": ident(1), "channel": "social", "direction": "outbound", "customer_id": ANN, "handle": "Ann_X", "customer_name": "Ann 🦉", "sent_at": ours(20), "body": "@Ann_X on its way", "language": "en", "updated_at": ours(20)},
        {"communication_id": ident(9), "conversation_id": ident(9), "channel": "social", "direction": "outbound", "sent_at": ours(41), "body": "News from @Shop", "language": "en", "updated_at": ours(41)},
        {"communication_id": ident(11), "conversation_id": ident(9), "in_reply_to": ident(9), "channel": "social", "direction": "outbound", "sent_at": ours(45), "body": "and more", "language": "en", "updated_at": ours(45)},
    ],
}  # fmt: skip
"""What is in the raw tables after one extract and load, worked out by hand; no NULL is written."""


@dataclass
class X(Service):
    """An account with two people who write to it.

    Attributes:
        n_billed: posts that were handed out.
    """

    mentions: list[Any] = field(default_factory=mentions)
    posts: list[Any] = field(default_factory=posts)
    junk: list[Any] = field(default_factory=list)
    n_billed: int = 0
    spoilt = ("communications",)

    def __post_init__(self) -> None:
        self.token = "s3cret"

    def before(self) -> None:
        """Before Ben's post was edited and answered, and before we had answered."""
        first = {
            "id": ident(5),
            "edit_history_tweet_ids": [ident(5)],
            "text": "@Shop warum?",
            "created_at": at(39),
        }
        edited = {**mentions()[3], **first}
        del edited["note_tweet"]
        self.mentions, self.posts = [*mentions()[:3], edited], []

    def after(self) -> None:
        """As `mentions` and `posts` have it."""
        self.mentions, self.posts = mentions(), posts()

    def expire(self) -> None:
        """A Bearer token does not run out."""

    def spoil(self) -> int:
        """Put records of no known form on every first page; gives how many are no object there."""
        odd = {
            "id": {"a": 1},
            "author_id": [],
            "referenced_tweets": "none",
            "note_tweet": 3,
            "lang": {},
        }
        odd |= {"edit_history_tweet_ids": 5, "created_at": "soon", "text": 1}
        self.junk = ["no record", 17, {"id": None}, {}, odd]
        return 2 * 2

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != f"Bearer {self.token}":
            return refused(401, "Unauthorized", "Unauthorized")
        listings = {f"/2/users/{US}/mentions": self.mentions, f"/2/users/{US}/tweets": self.posts}
        if asked.path not in listings:
            return refused(404, "Not Found", "Not Found")
        query = asked.query
        wanted = {"author_id", "in_reply_to_user_id"}
        assert query["max_results"] == "100" and wanted <= set(query["expansions"].split(","))
        word, start = query.get("pagination_token"), 0
        if word is None:
            found = [one for one in reversed(listings[asked.path]) if self._is_wanted(one, query)]
        elif word in self.places:
            found, start = self.places[word]
        else:
            message = f"The `pagination_token` query parameter value [{word}] is not valid"
            return Answer({"errors": [{"message": message}], "title": "Invalid Request"}, 400)
        return self._page(found, start, set(query["tweet.fields"].split(",")))

    @staticmethod
    def _is_wanted(one: dict[str, Any], query: dict[str, str]) -> bool:
        since = dt.datetime.fromisoformat(query.get("start_time", "2010-11-06T00:00:00+00:00"))
        kinds = {other["type"] for other in one.get("referenced_tweets", [])}
        is_excluded = query.get("exclude") == "retweets" and "retweeted" in kinds
        return dt.datetime.fromisoformat(one["created_at"]) >= since and not is_excluded

    def _page(self, found: list[Any], start: int, fields: set[str]) -> Answer:
        """A page; behind the last post there is an empty one, which has neither `data` nor `includes`."""
        end = start + self.page_size
        page = [
            {k: v for k, v in one.items() if k in fields | {"id", "text"}}
            for one in found[start:end]
        ]
        self.n_billed += len(page)
        page += [] if start else self.junk
        meta: dict[str, Any] = {"result_count": len(page)}
        if not page:
            return Answer({"meta": meta})
        if found:
            meta["next_token"] = self.place((found, end))
        named = {
            one.get(key) for one in found[start:end] for key in ("author_id", "in_reply_to_user_id")
        }
        # who is gone stands beside no post
        users = [PEOPLE[one] for one in sorted(named & PEOPLE.keys())]
        return Answer({"data": page, "includes": {"users": users}, "meta": meta})


def refused(status: int, title: str, detail: str) -> Answer:
    """An error as X writes it."""
    return Answer(
        {"title": title, "type": "about:blank", "status": status, "detail": detail}, status
    )
