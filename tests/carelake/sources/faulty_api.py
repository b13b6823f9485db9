"""A web service that pages through records like real ones do, and fails like them.

`Listing` is what it holds and how it turns pages; `faults` says which request is hit by what.
Requests are counted from 0, those for tokens apart. The server listens on a loopback port.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

EPOCH = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
STYLES = ("next_link", "link_header", "cursor", "offset", "page_number")
ANSWERS = ("429", "429 after", "429 at", "500", "503")
BODIES = ("slow", "cut", "cut chunk", "html", "half", "empty", "dropped")
CHANGES = ("moved", "grown", "removed", "repeated", "expired", "vanished", "skewed")
FAULTS = (*ANSWERS, *BODIES, *CHANGES)


@dataclass
class Listing:
    """Records in the order they are handed out: by the time they last changed, then by id.

    Attributes:
        style: how pages are turned.
        total: whether answers say how many records there are.
        faults: what happens to the n-th request.
        token: what a bearer must show; None when nobody is asked.
        owner: whose mailbox its tokens open.
        refresh: the only refresh token that is accepted, another after each use; None when unused.
        slow_seconds: how long a slow answer takes.
    """

    style: str = "next_link"
    page_size: int = 5
    total: bool = False
    token: str | None = None
    owner: str = "care@shop.example"
    refresh: str | None = None
    faults: dict[int, str] = field(default_factory=dict)
    slow_seconds: float = 0.6
    records: dict[int, dict[str, Any]] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    requests: list[dict[str, Any]] = field(default_factory=list)
    cursors: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    minutes: int = 0
    is_moving: bool = True

    def fill(self, count: int) -> Listing:
        """Make so many records."""
        for _ in range(count):
            self.write(len(self.records) + len(self.removed) + 1)
        return self

    def write(self, number: int) -> None:
        """Make or change a record; it then is the newest."""
        self.minutes += 1
        moment = EPOCH + dt.timedelta(minutes=self.minutes)
        version = self.records.get(number, {}).get("version", 0) + 1
        self.records[number] = {
            "id": number,
            "version": version,
            "updated_at": moment.isoformat().replace("+00:00", "Z"),
            "text": f"问题 {number}.{version} 😀",
            "who": {"email": f"customer{number}@example.org"},
        }

    def remove(self, number: int) -> None:
        """Take a record away."""
        del self.records[number]
        self.removed.add(number)

    def ordered(self, since: str | None) -> list[dict[str, Any]]:
        """What a request may see."""
        found = [r for r in self.records.values() if since is None or r["updated_at"] >= since]
        return sorted(found, key=lambda r: (r["updated_at"], r["id"]))


@dataclass(frozen=True)
class Asked:
    """One request, as a named service sees it; `target` is path and query as they came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes
    target: str

    @property
    def form(self) -> dict[str, str]:
        """The body of a form."""
        return dict(parse_qsl(self.content.decode()))


@dataclass(frozen=True)
class Answer:
    """What a named service answers."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """Its bytes."""
        return b"" if self.body is None else json.dumps(self.body, ensure_ascii=False).encode()


@dataclass
class Service:
    """A named service: what all have in common. Its modules lie in `live/`.

    Attributes:
        faults: what happens to the n-th request; requests for tokens are not counted.
        tokens: how many were fetched.
        token: the one that is accepted.
    """

    faults: dict[int, str] = field(default_factory=dict)
    requests: list[Asked] = field(default_factory=list)
    places: dict[str, Any] = field(default_factory=dict)
    slow_seconds: float = 0.3
    page_size: int = 2
    tokens: int = 0
    token: str = ""
    url: str = ""

    def log_in(self, asked: Asked) -> Answer | None:
        """The answer to a request for a token; None when it is none."""
        return None

    def answer(self, asked: Asked) -> Answer:
        """The answer to any other request."""
        raise NotImplementedError

    def expire(self) -> None:
        """Take the token back that is accepted now."""
        self.token = f"{self.token} no more"

    def forget_places(self) -> None:
        """Forget every place in a listing that a reader was given."""
        self.places.clear()

    def place(self, rest: Any) -> str:
        """A word for the rest of a listing."""
        word = f"place{len(self.places)}-{len(self.requests)}"
        self.places[word] = rest
        return word


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args: Any) -> None:
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:
        if timestamp is None and self.server.skew:
            timestamp = time.time() + self.server.skew
        return super().date_time_string(timestamp)

    def _serve(self, content: bytes) -> None:
        """Answer as a named service does, after the fault of this request."""
        service, parts = self.server.service, urlsplit(self.path)
        assert service is not None
        asked = Asked(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query)),
            dict(self.headers),
            content,
            self.path,
        )
        login = service.log_in(asked)
        if login is not None:
            self._send(login.status, login.content, login.headers)
            return
        fault = service.faults.get(len(service.requests))
        service.requests.append(asked)
        if fault == "expired":
            service.expire()
        if fault == "dropped":
            self.close_connection = True
            self.connection.close()
            return
        if fault in ANSWERS:
            self._send(int(fault[:3]), b"try again", self._pause(fault))
            return
        if fault == "slow":
            time.sleep(service.slow_seconds)
        if fault == "vanished":
            service.forget_places()
        answer = service.answer(asked)
        if answer.status != 200:
            self._send(answer.status, answer.content, answer.headers)
            return
        self._send_disturbed(answer.content, answer.headers, fault)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.service is not None:
            self._serve(body)
            return
        if self.path == "/token":
            self._token(dict(parse_qsl(body.decode())))
        elif self.path == "/introspect":
            self._introspect(dict(parse_qsl(body.decode())))
        else:
            self._list(json.loads(body or b"{}"))

    def do_GET(self) -> None:
        if self.server.service is not None:
            self._serve(b"")
            return
        parts = urlsplit(self.path)
        if parts.path == "/elsewhere":
            self._send(302, b"", {"Location": "http://127.0.0.2:9/items"})
        elif parts.path == "/items":
            self._list(dict(parse_qsl(parts.query)))
        else:
            self._send(404, b'{"error": "no such address"}')

    def _token(self, form: dict[str, str]) -> None:
        listing = self.server.listing
        if form.get("client_secret") != "s3cret":
            self._send(401, b'{"error": "invalid_client"}')
            return
        if listing.refresh is not None and form.get("refresh_token") != listing.refresh:
            self._send(400, b'{"error": "invalid_grant"}')
            return
        listing.tokens += 1
        listing.token = f"token-{listing.tokens}"
        answer = {"access_token": listing.token, "expires_in": 3600}
        if listing.refresh is not None:
            listing.refresh = f"refresh-{listing.tokens}"
            answer["refresh_token"] = listing.refresh
        self._send(200, json.dumps(answer).encode())

    def _introspect(self, form: dict[str, str]) -> None:
        """Say whose a token is, as RFC 7662 has it."""
        is_active = form.get("token") == self.server.listing.token
        answer = {"active": is_active, "username": self.server.listing.owner}
        self._send(200, json.dumps(answer if is_active else {"active": False}).encode())

    def _list(self, asked: dict[str, Any]) -> None:
        listing = self.server.listing
        fault = listing.faults.get(len(listing.requests))
        listing.requests.append({"asked": asked, "headers": dict(self.headers), "fault": fault})
        if fault == "expired" and listing.token is not None:
            listing.token = "renewed elsewhere"
        if listing.token and self.headers.get("Authorization") != f"Bearer {listing.token}":
            self._send(401, b'{"error": "token expired"}')
            return
        if fault == "dropped":
            self.close_connection = True
            self.connection.close()
            return
        if fault in ANSWERS:
            self._send(int(fault[:3]), b"try again", self._pause(fault))
            return
        if fault == "slow":
            time.sleep(listing.slow_seconds)
        position = self._position(listing, asked, fault)
        if position is None:
            self._send(410, b'{"error": "the cursor is not known any more"}')
            return
        self._page(listing, asked, position, fault)

    def _pause(self, fault: str) -> dict[str, str]:
        if fault == "429 after":
            return {"Retry-After": "2"}
        if fault == "429 at":
            return {"Retry-After": email.utils.formatdate(time.time() + 3, usegmt=True)}
        return {}

    def _position(self, listing: Listing, asked: dict[str, Any], fault: str | None) -> int | None:
        if listing.style == "offset":
            return int(asked.get("offset", 0))
        if listing.style == "page_number":
            return (int(asked.get("page", 1)) - 1) * listing.page_size
        word = asked.get("cursor")
        if word is None:
            return 0
        if fault == "vanished":
            listing.cursors.clear()
        # a word keeps the place in the listing, whatever moves: the id and time of the last record
        return listing.cursors.get(word)

    def _page(
        self, listing: Listing, asked: dict[str, Any], position: int, fault: str | None
    ) -> None:
        since = asked.get("since")
        if listing.style in ("offset", "page_number"):
            records = listing.ordered(since)
        else:
            # services with cursors look at the listing as it was when the first page was asked for
            records = self._kept(listing, asked, since)
        size = int(asked.get("limit", listing.page_size))
        page = records[position : position + size]
        more = position + size < len(records)
        if fault == "repeated" and position:
            page = [records[position - 1], *page]
        self._disturb(listing, page, fault)
        body: dict[str, Any] = {"data": {"items": page}}
        headers: dict[str, str] = {}
        if listing.total:
            body["total"] = len(records)
        if more and listing.style in ("next_link", "link_header", "cursor"):
            word = f"{asked.get('cursor', '0').partition('-')[0]}-{position + size}"
            listing.cursors[word] = position + size
            rest = urlencode({**asked, "cursor": word})
            if listing.style == "next_link":
                body["next"] = f"/items?{rest}"
            elif listing.style == "link_header":
                headers["Link"] = f'<{self.server.url}/items?{rest}>; rel="next"'
            else:
                body["next_cursor"] = word
        content = json.dumps(body, ensure_ascii=False).encode()
        if not page and position and self.server.says_no_content:
            self._send(204, b"")
            return
        self._send_disturbed(content, headers, fault)

    def _kept(
        self, listing: Listing, asked: dict[str, Any], since: str | None
    ) -> list[dict[str, Any]]:
        if "cursor" not in asked:
            self.server.kept = [dict(record) for record in listing.ordered(since)]
        return self.server.kept

    def _disturb(self, listing: Listing, page: list[dict[str, Any]], fault: str | None) -> None:
        """Change the listing behind the reader's back."""
        if fault == "grown":
            listing.fill(2)
        if not page:
            return
        first = page[0]["id"]
        if fault == "moved" and first in listing.records:
            listing.write(first)
        if fault == "removed" and first in listing.records:
            listing.remove(first)

    def _send_disturbed(self, body: bytes, headers: dict[str, str], fault: str | None) -> None:
        if fault == "html":
            self._send(200, b"<html><body>Please log in</body></html>", headers)
        elif fault == "half":
            self._send(200, body[: len(body) // 2], headers)
        elif fault == "empty":
            self._send(200, b"", headers)
        elif fault == "cut":
            self._send(200, body[: len(body) // 2], headers, length=len(body))
        elif fault == "cut chunk":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s" % (len(body), body[: len(body) // 2]))
            self.close_connection = True
        else:
            self.server.skew = -7200.0 if fault == "skewed" else 0.0
            self._send(200, body, headers)

    def _send(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        length: int | None = None,
    ) -> None:
        try:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            if status != 204:
                self.wfile.write(body)
            if length is not None:
                self.close_connection = True
        except (BrokenPipeError, ConnectionResetError):
            # the reader did not wait for a slow answer
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    listing: Listing
    service: Service | None = None
    kept: list[dict[str, Any]]
    skew = 0.0
    says_no_content = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(listing: Listing | Service) -> Iterator[_Server]:
    """A server of this listing on a free loopback port; `server.listing` may be replaced."""
    server = _Server(("127.0.0.1", 0), _Handler)
    if isinstance(listing, Service):
        server.service = listing
        listing.url = server.url
    else:
        server.listing = listing
    server.kept = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
