"""WeChat official accounts' customer service records, as documented: a day at most, errors with HTTP 200.

Records have the form of `shared/data/api_fixtures/wechat_wecom`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from tests.carelake.sources.faulty_api import Answer, Asked, Service
from tests.carelake.sources.live.wecom import said

ANN, BEN, AMY_AGENT = "oDF3iY9WMaswOPWjCIp", "oDF3iY0b1bYfQxUu7mM", "amy@shop"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
"""Records of the last days: all since `initial` is asked for, day by day."""


def at(days: float) -> int:
    """So many days ago, as WeChat writes it."""
    return int((NOW - dt.timedelta(days=days)).timestamp())


def ours(days: float) -> str:
    """The same as the raw tables have it."""
    return f"{dt.datetime.fromtimestamp(at(days), dt.UTC):%Y-%m-%dT%H:%M:%S.000000Z}"


def record(days: float, code: int, openid: str, text: str) -> dict[str, Any]:
    """A line of the records."""
    return {
        "openid": openid,
        "opercode": code,
        "text": text,
        "time": at(days),
        "worker": f" {AMY_AGENT}",
    }


RECORDS: list[Any] = [
    record(4.2, 2003, ANN, "你好，有什么优惠吗？"),
    record(4.1, 1001, ANN, ""),
    record(4.0, 2002, ANN, " 您好，全场九折。"),
    record(1.5, 2003, BEN, "[image]"),
    record(1.4, 2003, BEN, "收到坏的"),
    record(1.4, 2002, BEN, "马上换"),
]
BEFORE = 4
"""So many of them are there at first."""
AGENTS = [
    {"kf_account": AMY_AGENT, "kf_nick": "小美", "kf_id": "1001", "kf_headimgurl": "http://x/1"}
]


def ident(days: float, code: int, openid: str, text: str) -> str:
    """The id that a record is given."""
    parts = [openid, str(at(days)), str(code), text]
    return hashlib.md5(chr(31).join(parts).encode(), usedforsecurity=False).hexdigest()


def row(days: float, code: int, openid: str, text: str) -> dict[str, Any]:
    """A record as it becomes ours."""
    return {
        "communication_id": ident(days, code, openid, text), "channel": "chat", "direction": "outbound" if code == 2002 else "inbound",
        "handle": openid, "agent": AMY_AGENT, "sent_at": ours(days), "body": text.strip(), "updated_at": ours(days),
    }  # fmt: skip


EXPECTED: dict[str, list[dict[str, Any]]] = {
    "communications": [
        row(4.2, 2003, ANN, "你好，有什么优惠吗？"),
        row(4.0, 2002, ANN, " 您好，全场九折。"),
        row(1.5, 2003, BEN, "[image]"),
        row(1.4, 2003, BEN, "收到坏的"),
        row(1.4, 2002, BEN, "马上换"),
    ],
    "agents": [{"agent_id": AMY_AGENT, "agent_name": "小美"}],
}
"""What is in the raw tables after one extract and load, worked out by hand; no NULL is written."""


@dataclass
class Wechat(Service):
    """An account that talked with two customers."""

    records: list[Any] = field(default_factory=lambda: list(RECORDS))
    junk: list[Any] = field(default_factory=list)
    page_size: int = 2
    spoilt = ("communications",)

    def before(self) -> None:
        """Before the last words."""
        self.records = RECORDS[:BEFORE]

    def after(self) -> None:
        """As it is in the end."""
        self.records = list(RECORDS)

    def spoil(self) -> int:
        """Put records of no known form on a page; gives how many are no object there."""
        odd = {"openid": {"a": 1}, "time": "soon", "opercode": [], "text": {}, "kf_account": {}}
        self.junk = ["no record", 17, {"openid": None}, {}, odd]
        return 2 * 2

    def log_in(self, asked: Asked) -> Answer | None:
        if asked.path != "/cgi-bin/stable_token":
            return None
        wanted = {"grant_type": "client_credential", "appid": "client", "secret": "s3cret"}
        if asked.method != "POST" or json.loads(asked.content) != wanted:
            return said(40125, "invalid appsecret")
        self.tokens += 1
        self.token = f"accesstoken-{self.tokens:06d}"
        return Answer({"access_token": self.token, "expires_in": 7200})

    def answer(self, asked: Asked) -> Answer:
        if asked.query.get("access_token") != self.token:
            return said(40001, "invalid credential, access_token is invalid or not latest")
        if asked.path == "/cgi-bin/customservice/getkflist":
            return Answer({"kf_list": [*AGENTS, *self.junk]})
        if asked.path != "/customservice/msgrecord/getmsglist":
            return said(404, "no such interface")
        body = json.loads(asked.content)
        begin, end, after = body["starttime"], body["endtime"], body["msgid"]
        if not all(isinstance(number, int) for number in (begin, end, after)):
            return said(65416, "invalid parameter")
        if end - begin > 86400:
            return said(65417, "time period exceeds the limit")
        found = [
            (number, r)
            for number, r in enumerate(self.records, start=20)
            if begin <= r["time"] <= end and number > after
        ][: self.page_size]
        shown = [r for _, r in found]
        # in the piece of the first record, which is there before and after
        shown += self.junk if begin <= at(4.2) <= end and after == 1 else []
        last = found[-1][0] if found else after
        return Answer({"recordlist": shown, "number": len(shown), "msgid": last})
