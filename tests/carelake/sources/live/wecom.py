"""WeCom's customer service API as its documentation describes it: errors with HTTP 200, a cursor that lasts.

Messages stay as long as the service lives here; WeCom drops them after three days.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any

from tests.carelake.sources.faulty_api import Answer, Asked, Service

KF, ANN, AMY_AGENT, BOB_AGENT = "wkAJ2GCAAASSm4", "wmAJ2GCAAAme1X", "Zhangsan", "lisi"


def at(minute: int) -> int:
    """A time as WeCom writes it."""
    return int(dt.datetime(2024, 5, 1, 10, minute, tzinfo=dt.UTC).timestamp())


def ours(minute: int) -> str:
    """The same as the raw tables have it."""
    return f"2024-05-01T10:{minute:02d}:00.000000Z"


def message(ident: str, minute: int, origin: int, kind: str, **more: Any) -> dict[str, Any]:
    """A message or an event."""
    return {
        "msgid": ident, "send_time": at(minute), "origin": origin, "msgtype": kind,
        **({"open_kfid": KF, "external_userid": ANN} if kind != "event" else {}), **more,
    }  # fmt: skip


def event(ident: str, minute: int, kind: str, **more: Any) -> dict[str, Any]:
    """Something that happened."""
    told = {"event_type": kind, "open_kfid": KF, "external_userid": ANN, **more}
    return message(ident, minute, 4, "event", event=told)


MESSAGES: list[Any] = [
    event("e1", 9, "enter_session", scene="shop", welcome_code="w"),
    message("m1", 10, 3, "text", text={"content": "什么时候发货？", "menu_id": "101"}),
    event("e2", 11, "session_status_change", change_type=1, new_servicer_userid=AMY_AGENT),
    message("m2", 12, 5, "text", text={"content": "明天发。"}, servicer_userid=AMY_AGENT),
    event("e3", 13, "session_status_change", change_type=2, old_servicer_userid=AMY_AGENT, new_servicer_userid=BOB_AGENT),
    message("m3", 14, 3, "location", location={"latitude": 23.1, "longitude": 113.3, "name": "广州塔", "address": "阅江西路222号"}),
    message("m4", 15, 3, "image", image={"media_id": "MEDIA"}),
    message("m5", 16, 5, "text", text={"content": "发错了"}, servicer_userid=BOB_AGENT),
    event("e4", 17, "servicer_recall_msg", recall_msgid="m5", servicer_userid=BOB_AGENT),
    event("e5", 30, "session_status_change", change_type=3, old_servicer_userid=BOB_AGENT),
]  # fmt: skip
BEFORE = 8
"""So many of them are there at first."""
MEMBERS = {
    AMY_AGENT: {"userid": AMY_AGENT, "name": "张三", "department": [1], "biz_mail": "zhangsan@shop.example"},
    BOB_AGENT: {"userid": BOB_AGENT, "name": "李四", "department": [1], "email": "lisi@shop.example"},
}  # fmt: skip
ERRORS = {"429": 45009, "500": -1, "503": -1}

EXPECTED: dict[str, list[dict[str, Any]]] = {
    "communications": [
        {"communication_id": "m1", "channel": "chat", "direction": "inbound", "handle": ANN, "sent_at": ours(10), "body": "什么时候发货？", "updated_at": ours(10)},
        {"communication_id": "m2", "channel": "chat", "direction": "outbound", "handle": ANN, "agent": AMY_AGENT, "sent_at": ours(12), "body": "明天发。", "updated_at": ours(12)},
        {"communication_id": "m3", "channel": "chat", "direction": "inbound", "handle": ANN, "sent_at": ours(14), "body": "广州塔, 阅江西路222号", "updated_at": ours(14)},
        {"communication_id": "m4", "channel": "chat", "direction": "inbound", "handle": ANN, "sent_at": ours(15), "updated_at": ours(15)},
        {"communication_id": "m5", "channel": "chat", "direction": "outbound", "handle": ANN, "agent": BOB_AGENT, "sent_at": ours(16), "body": "发错了", "updated_at": ours(16)},
        {"communication_id": "m5", "channel": "chat", "direction": "outbound", "handle": ANN, "agent": BOB_AGENT, "sent_at": ours(17), "updated_at": ours(17), "is_deleted": "true"},
    ],
    "events": [
        {"event_id": "e2", "event_name": "assigned", "handle": ANN, "occurred_at": ours(11), "updated_at": ours(11)},
        {"event_id": "e3", "event_name": "handed_over", "handle": ANN, "occurred_at": ours(13), "updated_at": ours(13)},
        {"event_id": "e5", "event_name": "closed", "handle": ANN, "occurred_at": ours(30), "updated_at": ours(30)},
    ],
    "agents": [
        {"agent_id": AMY_AGENT, "agent_name": "张三", "email": "zhangsan@shop.example"},
        {"agent_id": BOB_AGENT, "agent_name": "李四", "email": "lisi@shop.example"},
    ],
}  # fmt: skip
"""What is in the raw tables after one extract and load, worked out by hand; no NULL is written."""


@dataclass
class Wecom(Service):
    """An account with one customer."""

    messages: list[Any] = field(default_factory=lambda: list(MESSAGES))
    servicers: list[Any] = field(
        default_factory=lambda: [{"userid": u, "status": 0} for u in MEMBERS]
    )
    forgotten: int = 0
    page_size: int = 3
    spoilt = ("communications",)

    def before(self) -> None:
        """Before a message was taken back, and the session closed."""
        self.messages = MESSAGES[:BEFORE]

    def after(self) -> None:
        """As it is in the end."""
        self.messages = list(MESSAGES)

    def forget_places(self) -> None:
        """Cursors of before are not known any more."""
        self.forgotten += 1

    def spoil(self) -> int:
        """Put records of no known form on every first page; gives how many are no object there."""
        odd = {
            "msgid": {"a": 1},
            "send_time": "soon",
            "msgtype": ["x"],
            "text": "no object",
            "event": 5,
            "location": [],
        }
        self.messages = ["no record", 17, {"msgid": None}, {}, odd, *MESSAGES]
        self.servicers += ["nobody", 3, {}, {"userid": None}]
        return 2 * 2  # of members, the listing lands nothing

    def log_in(self, asked: Asked) -> Answer | None:
        if asked.path != "/cgi-bin/gettoken":
            return None
        if asked.query != {"corpid": "client", "corpsecret": "s3cret"}:
            return Answer({"errcode": 40001, "errmsg": "invalid credential"})
        self.tokens += 1
        self.token = f"accesstoken-{self.tokens:06d}"
        return Answer(
            {"errcode": 0, "errmsg": "ok", "access_token": self.token, "expires_in": 7200}
        )

    def answer(self, asked: Asked) -> Answer:
        if asked.query.get("access_token") != self.token:
            return said(42001, f"access_token expired, hint: [1{asked.path}]")
        if asked.path == "/cgi-bin/kf/servicer/list" and asked.query.get("open_kfid") == KF:
            return said(0, "ok", servicer_list=self.servicers)
        if asked.path == "/cgi-bin/user/get":
            member = MEMBERS.get(asked.query["userid"])
            return said(0, "ok", **member) if member else said(60111, "userid not found")
        if asked.method != "POST" or asked.path != "/cgi-bin/kf/sync_msg":
            return said(404, "no such interface")
        body = json.loads(asked.content)
        if body["open_kfid"] != KF:
            return said(95000, "invalid open_kfid")
        return self._page(body.get("cursor", ""))

    def _page(self, cursor: str) -> Answer:
        life, _, place = cursor.partition("-")
        if cursor and life != f"c{self.forgotten}":
            return said(40058, "cursor is not valid")
        start = int(place or 0)
        end = min(start + self.page_size, len(self.messages))
        return said(
            0,
            "ok",
            next_cursor=f"c{self.forgotten}-{end}",
            has_more=int(end < len(self.messages)),
            msg_list=self.messages[start:end],
        )


def said(code: int, message: str, **more: Any) -> Answer:
    """An answer as WeCom writes it: HTTP 200, whatever happened."""
    return Answer({"errcode": code, "errmsg": message, **more})
