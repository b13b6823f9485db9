"""The endpoint that services push to: verifies, limits, writes, and only then says 200."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from carelake.errors import ConfigError, RunFailed
from carelake.source import Source
from carelake.sources.push_journal import AlreadyServed, Journal, only_writer, seal
from carelake.sources.push_signatures import Guard, guard_of

MOST_WAITING = 20_000
"""Requests whose line is not on the disk yet; beyond, the disk is too slow, and services come again."""
LOOK_SECONDS = 0.5
LOG = logging.getLogger("uvicorn.error")
"""Where the server that runs us prints."""
OK = b'{"status":"ok"}'


class Pace:
    """So many requests a second, and no more than a second's worth at once."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._left = float(per_second)
        self._at = time.monotonic()

    def allows(self) -> bool:
        """Take one request."""
        now = time.monotonic()
        self._left = min(self._per_second, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass
class Inlet:
    """One source, open to what is pushed."""

    source: Source
    guard: Guard
    journal: Journal
    pace: Pace
    sealed_at: float

    async def keep_sealing(self) -> None:
        """Make batches as time or number demand."""
        rules = self.source.webhook
        assert rules is not None
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            is_due = time.monotonic() - self.sealed_at >= rules.seal_seconds
            if is_due or self.journal.n_lines >= rules.seal_requests:
                self.sealed_at = time.monotonic()
                if not await self.seal():
                    await asyncio.sleep(rules.seal_seconds)

    async def seal(self) -> bool:
        """Make a batch; False when it cannot be written: what is in the journals stays there."""
        try:
            await self.journal.seal()
        except (OSError, RunFailed) as error:
            LOG.warning(
                "%s: no batch could be made (%s); it is tried again", self.source.name, error
            )
            return False
        return True


@contextmanager
def taken_over(landing: Path, sources: list[Source]) -> Iterator[None]:
    """Be the one endpoint of these sources; what an earlier one left becomes a batch.

    Raises:
        ConfigError: another endpoint takes one of them.
    """
    with ExitStack() as held:
        for source in sources:
            try:
                held.enter_context(only_writer(landing, source.name))
            except AlreadyServed as error:
                raise ConfigError(
                    f"{source.name}: another endpoint takes it; stop that one first"
                ) from error
            seal(landing, source)
        yield


def make_app(landing: Path, sources: list[Source]) -> FastAPI:
    """The endpoint of these sources, to be served inside `taken_over`.

    Raises:
        ConfigError: a source lacks its secret.
    """
    guards = {source.name: guard_of(source) for source in sources}
    inlets: dict[str, Inlet] = {}

    @asynccontextmanager
    async def serving(app: FastAPI) -> AsyncIterator[None]:
        for source in sources:
            inlets[source.name] = _inlet(landing, source, guards[source.name])
        async with AsyncExitStack() as running:
            for inlet in inlets.values():
                running.push_async_callback(_end, inlet, _begin(inlet))
            yield

    async def take(request: Request) -> Response:
        inlet = inlets.get(request.path_params["source"])
        if inlet is None:
            return _refusal(404, "no such source")
        if request.method == "GET":
            return _challenge(inlet.guard, request)
        return await _take(inlet, request)

    async def health(request: Request) -> Response:
        return JSONResponse({name: inlet.journal.n_waiting for name, inlet in inlets.items()})

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=serving)
    # plain routes: nothing of a request is looked at before its signature
    app.add_route("/webhooks/{source}", take, methods=["GET", "POST"])
    app.add_route("/webhooks/{source}/{token}", take, methods=["POST"])
    app.add_route("/health", health, methods=["GET"])
    return app


async def _take(inlet: Inlet, request: Request) -> Response:
    rules = inlet.source.webhook
    assert rules is not None
    if not inlet.pace.allows() or inlet.journal.n_waiting > MOST_WAITING:
        return _refusal(429, "too many requests; come again", {"Retry-After": "1"})
    body = await _body(request, rules.max_body_bytes)
    if body is None:
        return _refusal(413, f"longer than {rules.max_body_bytes} bytes")
    if not inlet.guard.lets_in(request.headers, body, request.path_params.get("token", "")):
        return _refusal(401, "the signature is not right")
    line = _line(body, request.headers.get("x-chatwoot-timestamp"))
    if line is None:
        return _refusal(400, "no JSON object")
    try:
        await inlet.journal.append(line)
    except OSError:
        return _refusal(503, "cannot be kept now; come again", {"Retry-After": "30"})
    return Response(OK, media_type="application/json")


async def _body(request: Request, limit: int) -> bytes | None:
    """What was sent, None when it is too long or broke off."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        return None
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                return None
            parts.append(part)
    except ClientDisconnect:
        return None
    return b"".join(parts)


def _line(body: bytes, provider_time: str | None) -> bytes | None:
    """A request as a line of the journal, None when it is no JSON object."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    # as it came, unless it has several lines or another encoding than UTF-8
    is_plain = b"\n" not in body and b"\r" not in body and body[:1] == b"{" and _is_utf8(body)
    kept = body if is_plain else json.dumps(found, ensure_ascii=True).encode()
    moment = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
    head = {"received_at": moment, "provider_time": provider_time}
    return json.dumps(head).encode()[:-1] + b', "body": ' + kept + b"}\n"


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _challenge(guard: Guard, request: Request) -> Response:
    asked = request.query_params
    if not guard.answers(asked.get("hub.mode", ""), asked.get("hub.verify_token", "")):
        return _refusal(403, "the verify token is not right")
    return PlainTextResponse(asked.get("hub.challenge", "")[:200])


def _refusal(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": reason}, status, headers)


def _inlet(landing: Path, source: Source, guard: Guard) -> Inlet:
    assert source.webhook is not None
    journal, pace = Journal(landing, source), Pace(source.webhook.max_per_second)
    return Inlet(source, guard, journal, pace, time.monotonic())


def _begin(inlet: Inlet) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(inlet.journal.write()), asyncio.create_task(inlet.keep_sealing())]


async def _end(inlet: Inlet, tasks: list[asyncio.Task[None]]) -> None:
    await inlet.seal()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    inlet.journal.close()
