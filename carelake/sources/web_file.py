"""One file behind an address: https://host/export.csv."""

from __future__ import annotations

import email.utils
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests

from carelake.sources.connections import Connection
from carelake.sources.patience import Passing
from carelake.sources.remote import RemoteFile, write_all
from carelake.sources.web import PatientSession, without_query

CHUNK = 1 << 20
SECONDS = 60.0


class WebFile:
    """A file that a web server hands out.

    Args:
        connection: login and password, or a password alone as a bearer token; `ca_file` in its
            extra names the CA of a server of your own.
    """

    def __init__(self, url: str, connection: Connection | None) -> None:
        self._url, parts = url, urlsplit(url)
        # named with each request: a CA of the environment would go before the session's
        self._trusted = str(connection.extra.get("ca_file") or "") if connection else ""
        self._session = PatientSession(
            parts.netloc, check=lambda response: None, attempts=1, timeout=SECONDS
        )
        # the length that is told is that of what is sent
        self._session.headers["Accept-Encoding"] = "identity"
        if connection is not None:
            if connection.login:
                self._session.auth = (connection.login, connection.password)
            elif connection.password:
                self._session.headers["Authorization"] = f"Bearer {connection.password}"
        self._name = unquote(parts.path).lstrip("/") or "index"

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def files(self) -> list[RemoteFile]:
        """The one file, as the head of an answer tells it."""
        # many servers answer HEAD wrongly: the body is simply not read
        with self._answer() as answer:
            return [self._file(answer)]

    def fetch(self, file: RemoteFile, target: Path) -> RemoteFile:
        """Write its bytes."""
        with self._answer() as answer:
            now = self._file(answer)
            try:
                with target.open("wb") as writer:
                    write_all(answer.iter_content(CHUNK), writer, now.size, file.name)
            except requests.exceptions.RequestException as error:
                raise Passing(f"{without_query(self._url)}: the answer broke off") from error
        return now

    def _answer(self) -> requests.Response:
        return self._session.get(self._url, stream=True, verify=self._trusted or None)

    def _file(self, answer: requests.Response) -> RemoteFile:
        headers = answer.headers
        length = headers.get("Content-Length", "")
        try:
            modified = email.utils.parsedate_to_datetime(headers["Last-Modified"])
        except (KeyError, ValueError):
            modified = None
        size = int(length) if length.isdigit() and "Content-Encoding" not in headers else None
        return RemoteFile(self._name, size, modified, headers.get("ETag"))
