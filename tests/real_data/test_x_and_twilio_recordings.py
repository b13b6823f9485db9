"""Posts recorded from X, and Twilio's published calls, landed as pages and loaded by kinds `x` and `twilio`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from carelake.settings import Context
from tests.real_data.recordings import landed, loaded, recorded

BLOCKS = """
sources:
  - {name: brand, kind: x, connection: x, x: {account: "17200003"}}
  - {name: hotline, kind: twilio, connection: twilio, twilio: {account: ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}
"""


def test_every_recorded_post_has_the_author_that_stands_beside_it(
    make_context: Callable[..., Context], tmp_path: Path
) -> None:
    pages = [
        recorded("x_twitter_v2/apis/searches/search_tweets_query.json"),
        # pages without users, and retweets among their posts
        recorded("x_twitter_v2/apis/searches/search_tweets_for_nyc.json"),
        recorded("x_twitter_v2/apis/timeline/timeline_tweets.json"),
        '{"meta": {"result_count": 0}}',
    ]
    ctx = make_context(BLOCKS)
    landed(ctx, ctx.sources.sources[0], pages, tmp_path)
    rows = {row["communication_id"]: row for row in loaded(ctx, "communications")}
    said = [json.loads(page) for page in pages[:3]]
    names = {user["id"]: user["username"] for user in said[0]["includes"]["users"]}
    wanted = {}
    for page in said:
        for post in page["data"]:
            kinds = {other["type"] for other in post.get("referenced_tweets", [])}
            if "retweeted" not in kinds and post.get("author_id") != "17200003":
                wanted[post["id"]] = post
    assert rows.keys() == wanted.keys() and len(rows) >= 10
    for ident, post in wanted.items():
        row, author = rows[ident], post.get("author_id")
        assert (row["customer_id"], row["direction"]) == (author, "inbound")
        is_of_first = post in said[0]["data"]
        assert row["handle"] == (names.get(author) if is_of_first else None)
        assert row["sent_at"].startswith(post["created_at"][:19])
        assert row["body"] and "&amp;" not in row["body"]
        assert row["language"] == (None if post.get("lang") == "und" else post.get("lang"))
    assert any(row["handle"] for row in rows.values())


def test_published_calls_come_in_as_they_were(
    make_context: Callable[..., Context], tmp_path: Path
) -> None:
    failed = recorded("twilio/calls_list.json")
    inbound = json.loads(recorded("twilio/call_fetch.json"))
    # published examples all have one id
    inbound["sid"] = "CAbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    ctx = make_context(BLOCKS)
    source = ctx.sources.select(["hotline"])[0]
    landed(ctx, source, [failed, json.dumps({"calls": [inbound]})], tmp_path)
    first, second = loaded(ctx, "call_legs")
    assert (first["direction"], first["status"], first["phone"]) == (
        "outbound",
        "failed",
        "sip:kevin@example.com",
    )
    assert first["started_at"] == "2015-09-04T22:48:31.000000Z" and first["answered_at"] is None
    # Twilio answered, and it dialled nobody
    assert (second["direction"], second["status"]) == ("inbound", "abandoned")
    assert second["phone"] == second["from_address"] == inbound["from"]
    assert second["ended_at"] == "2010-08-31T20:36:44.000000Z"
