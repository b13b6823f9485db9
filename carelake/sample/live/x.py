"""The company's social media as an account on X: its mentions and its own posts, newest first.

Unlike X, which shows the newest 800 mentions and 3,200 posts, it shows all of them: the whole history
is to come in.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from carelake.sample.company import Company, post_id
from carelake.sample.conversations import Turn
from carelake.sample.live.http import Answer, Asked, mark, place_of
from carelake.sample.live.known import zulu
from carelake.sample.people import OWN_HANDLE
from carelake.sample.texts import Spoken

ACCOUNT, TOKEN = "900100", "bearer-token"
MOST = 100
Posts = list[dict[str, Any]]


class XApi:
    """Answers as `https://api.x.com` does."""

    def __init__(self, company: Company, until: datetime) -> None:
        """Write down what was posted up to a moment."""
        self._users = {ACCOUNT: _user(ACCOUNT, "Hualong Care 华隆客服", OWN_HANDLE)}
        self._mentions: Posts = []
        self._posts: Posts = []
        for spoken in company.on("social"):
            for place, turn in enumerate(spoken.talk.turns):
                if turn.sent_at <= until:
                    posts = self._mentions if turn.inbound else self._posts
                    posts.append(self._post(spoken, place, turn))
        for posts in (self._mentions, self._posts):
            posts.sort(key=lambda post: (post["created_at"], post["id"]), reverse=True)

    def answer(self, asked: Asked) -> Answer | None:
        """Answer what is asked below `/2`; None to any other path."""
        if not asked.path.startswith("/2/"):
            return None
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return _refusal(401, "Unauthorized")
        base = f"/2/users/{ACCOUNT}"
        listings = {f"{base}/mentions": self._mentions, f"{base}/tweets": self._posts}
        if asked.path not in listings:
            return _refusal(404, "Not Found")
        since = asked.query.get("start_time", "0")[:19]
        until = asked.query.get("end_time", "9")[:19]
        found = [p for p in listings[asked.path] if since <= p["created_at"][:19] < until]
        return self._page(asked, found)

    def _page(self, asked: Asked, found: Posts) -> Answer:
        word = asked.query.get("pagination_token")
        place = place_of(word) if word else [0]
        if place is None:
            message = f"The `pagination_token` query parameter value [{word}] is not valid"
            return Answer({"errors": [{"message": message}], "title": "Invalid Request"}, 400)
        size = int(asked.query.get("max_results", "10"))
        end = place[0] + min(MOST, size)
        page = found[place[0] : end]
        meta: dict[str, Any] = {"result_count": len(page)}
        if end < len(found):
            meta["next_token"] = mark(end)
        if not page:
            return Answer({"meta": meta})
        fields = {"id", "text", *asked.query.get("tweet.fields", "").split(",")}
        named = {post.get(key) for post in page for key in ("author_id", "in_reply_to_user_id")}
        users = [user for ident, user in self._users.items() if ident in named]
        shown = [{k: v for k, v in post.items() if k in fields} for post in page]
        return Answer({"data": shown, "includes": {"users": users}, "meta": meta})

    def _post(self, spoken: Spoken, place: int, turn: Turn) -> dict[str, Any]:
        """A post; X writes whom it is for before its words."""
        talk, person = spoken.talk, spoken.talk.person
        handle, ident = str(person.social_handle), str(700_000 + person.number)
        self._users[ident] = _user(ident, person.name, handle)
        post: dict[str, Any] = {
            "id": post_id(talk, place),
            "text": f"{OWN_HANDLE if turn.inbound else handle} {spoken.lines[place]}",
            "author_id": ident if turn.inbound else ACCOUNT,
            "created_at": zulu(turn.sent_at).replace("Z", ".000Z"),
            "conversation_id": post_id(talk, 0),
            "edit_history_tweet_ids": [post_id(talk, place)],
            "lang": person.language,
        }
        if place:
            post["referenced_tweets"] = [{"type": "replied_to", "id": post_id(talk, place - 1)}]
            answered = talk.turns[place - 1]
            post["in_reply_to_user_id"] = ident if answered.inbound else ACCOUNT
        return post


def _user(ident: str, name: str, handle: str) -> dict[str, Any]:
    return {"id": ident, "name": name, "username": handle.removeprefix("@")}


def _refusal(status: int, title: str) -> Answer:
    said = {"title": title, "type": "about:blank", "status": status, "detail": title}
    return Answer(said, status)
