"""Kind `wecom_kf`: what customers and staff write to each other through WeCom's customer service (微信客服).

WeCom keeps messages for three days, and hands them out behind a cursor that lasts: it is ours.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from carelake.source_kinds.oauth import TokenAuth
from carelake.source_kinds.rest import CursorPages, EachRecord, RestSettings, StatusInBody
from carelake.source_kinds.services import ObjectRule, ServiceRule, ServiceSettings

Object = Literal["messages", "handovers", "agents"]
STATUS = StatusInBody(
    path="errcode",
    statuses={
        # the token: unknown, of another, run out; corpid, secret
        "40001": 401, "40014": 401, "42001": 401, "41001": 401, "40013": 401, "40091": 401,
        "-1": 503, "45009": 429, "45033": 429,
        # no right to this: by interface, by address, by member, by account
        "48002": 403, "60020": 403, "60011": 403, "95000": 404, "60111": 404,
    },
)  # fmt: skip


class WecomSettings(ServiceSettings):
    """What is read of a customer service account."""

    account: str = Field(
        pattern=r"^wk[\w-]+$", description="The account's open_kfid, as in wkAJ2GCAAASSm4"
    )
    objects: list[Object] = Field(
        default=["messages", "handovers", "agents"], description="What is read; all if unset"
    )


def _ask(settings: WecomSettings, name: str) -> RestSettings:
    common: dict[str, Any] = {
        "auth": TokenAuth(
            token_url="/cgi-bin/gettoken", login_param="corpid", password_param="corpsecret"
        ),
        "status_in_body": STATUS,
        **settings.patience,
    }
    if name == "agents":
        return RestSettings(
            endpoint="cgi-bin/kf/servicer/list",
            params={"open_kfid": settings.account},
            each=EachRecord(
                endpoint="cgi-bin/user/get?userid={id}", id="userid", listed="servicer_list"
            ),
            **common,
        )
    return RestSettings(
        endpoint="cgi-bin/kf/sync_msg",
        method="POST",
        body={"open_kfid": settings.account, "limit": 1000, "voice_format": 0},
        pages=CursorPages(
            path="next_cursor", param="cursor", place="body", more="has_more", resume=True
        ),
        **common,
    )


SERVICE = ServiceRule(
    {
        "messages": ObjectRule("communications", "msgid", "msg_list"),
        "handovers": ObjectRule("events", "msgid", "msg_list"),
        "agents": ObjectRule("agents", "userid", None),
    },
    _ask,
)
