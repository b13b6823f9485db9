"""Kind `wechat_oa`: the customer service records of a WeChat official account (公众号).

WeChat answers for a day at most, so a longer window is asked for day by day.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import Field

from carelake.source_kinds.oauth import TokenAuth
from carelake.source_kinds.rest import CursorPages, Incremental, RestSettings, StatusInBody
from carelake.source_kinds.services import ObjectRule, ServiceRule, TimedSettings

Object = Literal["messages", "agents"]
STATUS = StatusInBody(
    path="errcode",
    statuses={
        # the token: unknown, of another, run out; appid, secret
        "40001": 401, "40014": 401, "42001": 401, "41001": 401, "40013": 401, "40125": 401,
        "-1": 503, "45009": 429, "45011": 429,
        # no right to this: by interface, by address, customer service not switched on
        "48001": 403, "40164": 403, "61004": 403, "65400": 403,
    },
)  # fmt: skip


class WechatSettings(TimedSettings):
    """What is read of an account."""

    objects: list[Object] = Field(
        default=["messages", "agents"], description="What is read; all if unset"
    )
    initial: dt.datetime = Field(description="Where the first reading begins")


def _ask(settings: WechatSettings, name: str) -> RestSettings:
    common: dict[str, Any] = {
        # tokens of this address do not make those worthless that other programs fetched
        "auth": TokenAuth(
            token_url="/cgi-bin/stable_token",
            method="POST",
            login_param="appid",
            password_param="secret",
            params={"grant_type": "client_credential"},
        ),
        "status_in_body": STATUS,
        **settings.patience,
    }
    if name == "agents":
        return RestSettings(endpoint="cgi-bin/customservice/getkflist", **common)
    return RestSettings(
        endpoint="customservice/msgrecord/getmsglist",
        method="POST",
        body={"msgid": 1, "number": 10000},
        pages=CursorPages(path="msgid", param="msgid", place="body", until_empty=True),
        incremental=Incremental(
            field="time",
            since_param="starttime",
            until_param="endtime",
            place="body",
            format="epoch",
            is_number=True,
            longest="1d",
            look_back=settings.look_back,
            initial=settings.initial,
        ),
        **common,
    )


SERVICE = ServiceRule(
    {
        # a record has no id of its own
        "messages": ObjectRule("communications", "id", "recordlist"),
        "agents": ObjectRule("agents", "kf_account", "kf_list"),
    },
    _ask,
)
