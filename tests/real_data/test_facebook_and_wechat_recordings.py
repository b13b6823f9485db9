"""Messages and comments recorded from Facebook, and WeChat's records, loaded by kinds `facebook` and `wechat_oa`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from carelake.settings import Context
from tests.real_data.recordings import landed, loaded, recorded

PAGE = "2121008874780932"
BLOCKS = f"""
sources:
  - {{name: page, kind: facebook, connection: fb, facebook: {{page: "{PAGE}"}}}}
  - {{name: wechat, kind: wechat_oa, connection: wx, wechat_oa: {{initial: 2014-05-01}}}}
"""


def test_recorded_messages_of_an_inbox_have_their_person_and_no_address_of_a_picture(
    make_context: Callable[..., Context], tmp_path: Path
) -> None:
    said = json.loads(recorded("facebook_graph/facebook/apidata/messages/messages_info.json"))
    ctx = make_context(BLOCKS)
    page = json.dumps({"data": list(said.values())})
    landed(ctx, ctx.sources.select(["page_messages"])[0], [page], tmp_path)
    rows = {row["communication_id"]: row for row in loaded(ctx, "communications")}
    assert rows.keys() == said.keys() and rows
    for ident, message in said.items():
        row, is_ours = rows[ident], message["from"]["id"] == PAGE
        person = message["to"]["data"][0] if is_ours else message["from"]
        assert (row["customer_id"], row["customer_name"]) == (person["id"], person["name"])
        assert row["direction"] == ("outbound" if is_ours else "inbound")
        assert row["conversation_id"] == f"inbox:{person['id']}"
        assert row["sent_at"] == f"{message['created_time'][:19]}.000000Z"
        attached = [each["name"] for each in message.get("attachments", {}).get("data", [])]
        assert row["body"] == (message.get("message") or next(iter(attached), None))
        assert "fbcdn" not in json.dumps(row, default=str)


def test_recorded_comments_come_in_though_their_writers_are_not_told(
    make_context: Callable[..., Context], tmp_path: Path
) -> None:
    said = json.loads(recorded("facebook_graph/facebook/apidata/comments/comments_info.json"))
    ctx = make_context(BLOCKS)
    page = json.dumps({"data": list(said.values())})
    landed(ctx, ctx.sources.select(["page_comments"])[0], [page], tmp_path)
    rows = {row["communication_id"]: row for row in loaded(ctx, "communications")}
    assert rows.keys() == said.keys() and rows
    for ident, comment in said.items():
        row = rows[ident]
        assert (row["direction"], row["customer_id"]) == ("inbound", None)
        assert row["body"] == comment["message"]
        assert row["sent_at"] == f"{comment['created_time'][:19]}.000000Z"


def test_recorded_lines_of_wechat_are_told_by_who_wrote_them(
    make_context: Callable[..., Context], tmp_path: Path
) -> None:
    ctx = make_context(BLOCKS)
    page = recorded("wechat_wecom/customservice_msgrecord_getmsglist.json")
    landed(ctx, ctx.sources.select(["wechat_messages"])[0], [page], tmp_path)
    rows = loaded(ctx, "communications")
    said = json.loads(page)["recordlist"]
    assert [row["direction"] for row in rows] == ["outbound", "inbound"]
    assert [row["body"] for row in rows] == [line["text"].strip() for line in said]
    assert {row["agent"] for row in rows} == {"test1"}
    assert {row["handle"] for row in rows} == {line["openid"] for line in said}
    assert len({row["communication_id"] for row in rows}) == len(rows)
