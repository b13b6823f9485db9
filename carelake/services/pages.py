"""Finished pages (dbt docs, Data Docs) behind a password.

    CARELAKE_PAGES_PASSWORD=... python -m carelake.services.pages --port 8090 --site dbt=FOLDER

One `--site` without a name is served at `/`, named ones below their names. Only files are given
out, never a list of a folder, and only to who knows user and password.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hmac
import html
import os
import signal
import sys
import threading
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

READER = "reader"
PASSWORD = "CARELAKE_PAGES_PASSWORD"
HEALTH = "/health"


class Handler(SimpleHTTPRequestHandler):
    """GET and HEAD of the sites' files for one user."""

    server_version = "Carelake"
    sys_version = ""
    timeout = 30  # a client that says nothing does not hold a thread for ever

    def __init__(self, *args: object, sites: dict[str, Path], password: str) -> None:
        self.sites = sites
        self.password = password
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """One file."""
        if self._may():
            super().do_GET()

    def do_HEAD(self) -> None:
        """What GET would say, without the file."""
        if self._may():
            super().do_HEAD()

    def _may(self) -> bool:
        if urlsplit(self.path).path == HEALTH:
            self._say(HTTPStatus.OK, "ok")
        elif not is_right(self.headers.get("Authorization", ""), self.password):
            self._say(HTTPStatus.UNAUTHORIZED, "user and password, please")
        elif urlsplit(self.path).path == "/" and "" not in self.sites:
            self._say(HTTPStatus.OK, self._front(), "text/html; charset=utf-8")
        else:
            return True
        return False

    def _front(self) -> str:
        links = "".join(
            f"<li><a href='{html.escape(name)}/'>{html.escape(name)}</a></li>"
            for name in self.sites
        )
        return f"<!doctype html><title>Carelake</title><ul>{links}</ul>"

    def translate_path(self, path: str) -> str:
        """The file an address means; outside of every site, one that does not exist."""
        wanted = unquote(urlsplit(path).path)
        first, _, rest = wanted.lstrip("/").partition("/")
        root, below = (
            (self.sites[""], wanted) if "" in self.sites else (self.sites.get(first), rest)
        )
        nowhere = os.devnull + "/nothing"
        if root is None or "\0" in wanted or "\\" in wanted:
            return nowhere
        base = root.resolve()
        found = (base / below.lstrip("/")).resolve()
        if not found.is_relative_to(base):
            return nowhere
        # the address decides whether a folder was meant: a missing slash becomes a redirect
        return f"{found}/" if wanted.endswith("/") else str(found)

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        """Nobody needs to see what lies in a folder."""
        self.send_error(HTTPStatus.NOT_FOUND, "nothing here yet: the first build makes it")

    def end_headers(self) -> None:
        """Pages are remade by builds, and no other site may frame them."""
        self.send_header("Cache-Control", "private, no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        super().end_headers()

    def _say(self, status: HTTPStatus, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        content = text.encode()
        self.send_response(status)
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="Carelake", charset="UTF-8"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def is_right(header: str, password: str) -> bool:
    """Whether an `Authorization` header names the reader and the password."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    # takes as long for a wrong guess that begins well as for any other
    return hmac.compare_digest(given, f"{READER}:{password}".encode())


def serve(host: str, port: int, sites: dict[str, Path], password: str) -> None:
    """Serve until the process is told to stop."""
    server = ThreadingHTTPServer((host, port), partial(Handler, sites=sites, password=password))
    server.daemon_threads = True

    def stop(number: int, frame: object) -> None:
        # `shutdown` waits for the loop that this very thread runs
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    server.serve_forever()
    server.server_close()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--site", action="append", required=True, metavar="[NAME=]FOLDER")
    arguments = parser.parse_args()
    password = os.environ.get(PASSWORD)
    if not password:
        sys.exit(f"{PASSWORD} is not set: no pages without a password")
    pairs = [text.rpartition("=") for text in arguments.site]
    serve(arguments.host, arguments.port, {name: Path(at) for name, _, at in pairs}, password)


if __name__ == "__main__":
    main()
