"""One loopback server that stands for every service the company is kept in."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from carelake.sample.configuration import SETTINGS
from carelake.sample.live.chatwoot import Chat
from carelake.sample.live.chatwoot_api import ChatwootApi
from carelake.sample.live.configuration import SOURCES, connections
from carelake.sample.live.http import Answer, Asked
from carelake.sample.live.known import Delivered
from carelake.sample.live.salesforce import Org
from carelake.sample.live.salesforce_api import SalesforceApi
from carelake.sample.live.x import XApi
from carelake.sample.live.zendesk import Desk
from carelake.sample.live.zendesk_api import ZendeskApi
from carelake.sample.write import SampleSummary

FOLDER = "live"


class Api(Protocol):
    """A service: answers what is asked of it, None to paths that are not its own."""

    def answer(self, asked: Asked) -> Answer | None:
        """Answer a request."""


def write_live(made: SampleSummary, address: str) -> Path:
    """Write the source list, settings and connections of the served company.

    Returns:
        The folder they are in.
    """
    folder = made.target / FOLDER
    folder.mkdir(exist_ok=True)
    texts = {
        "sources.yml": SOURCES,
        "carelake.yml": SETTINGS,
        "connections.sh": connections(address),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return folder


def make_app(made: SampleSummary, until: datetime | None = None) -> Starlette:
    """Serve the company as it was at a moment, in local time; at the end of its history without."""
    company, delivered = made.company, Delivered(made.files)
    moment = min(until or company.end, company.end)
    apis: list[Api] = [
        SalesforceApi(Org(company, delivered, moment)),
        ZendeskApi(Desk(company, delivered, moment)),
        ChatwootApi(Chat(company, delivered, moment)),
        XApi(company, moment),
    ]

    async def serve(request: Request) -> Response:
        asked = await _asked(request)
        for api in apis:
            answer = api.answer(asked)
            if answer is not None:
                return JSONResponse(answer.body, answer.status)
        return JSONResponse({"error": "not found"}, 404)

    return Starlette(routes=[Route("/{path:path}", serve, methods=["GET", "POST"])])


async def _asked(request: Request) -> Asked:
    content = await request.body()
    kind = request.headers.get("content-type", "")
    form, body = {}, None
    if "form" in kind:
        form = dict(parse_qsl(content.decode(errors="replace")))
    elif content:
        try:
            body = json.loads(content)
        except ValueError:
            body = None
    return Asked(
        method=request.method,
        path=request.url.path,
        base=str(request.base_url).rstrip("/"),
        query=dict(request.query_params),
        headers=dict(request.headers),
        form=form,
        body=body,
    )
