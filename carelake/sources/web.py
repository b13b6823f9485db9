"""A web session that sits out what passes by itself, and gives up at once on what does not.

dlt's client signs requests and turns pages; this session, which it is given, sends them.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import requests
from requests import PreparedRequest, Response

from carelake.shown import one_line
from carelake.source_kinds.rest import StatusInBody
from carelake.sources.json_body import document_of, json_of
from carelake.sources.patience import Passing, Refused, patiently
from carelake.sources.reading import member

WILL_PASS = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524})
"""Answers that the same request may not get the next time."""
NO_CONTENT = frozenset({204, 304})
"""Answers without a body: there is nothing, or nothing new."""
LONGEST_REASON = 200
SHORTEST_SECRET = 12
"""Letters: a shorter one may well be a word of somebody's message."""


class PatientSession(requests.Session):
    """Sends requests to one host, each as often as it takes.

    Args:
        host: `host:port`; nothing is sent elsewhere, as requests carry secrets.
        check: raises `Passing` on an answer that is not whole.
        attempts: tries of one request.
        timeout: seconds of silence that are waited for.
        longest_wait: seconds; a service that asks for more is given up.
        sleep: waits so many seconds.

    Attributes:
        check: raises `Passing` on an answer that is not whole.
        n_requests: how many were sent, repeats included.
        renew: fetches a new token and signs a request anew, after a 401.
        hide: takes secrets out of what a service says.
        secrets: what requests carry, and no body that is kept may hold.
        status_in: the HTTP status that an answer's body stands for, None for its own.
    """

    def __init__(
        self,
        host: str,
        *,
        check: Callable[[Response], None],
        attempts: int = 6,
        timeout: float = 30.0,
        longest_wait: float = 300.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__()
        self.headers["User-Agent"] = "carelake"
        self.n_requests = 0
        self.renew: Callable[[PreparedRequest], None] | None = None
        self.hide: Callable[[str], str] = str
        self.secrets: Callable[[], list[str]] = list
        self.status_in: Callable[[Response], int | None] = lambda response: None
        self._host, self.check = host, check
        self._timeout, self._longest_wait = timeout, longest_wait
        self._tries = patiently(attempts, sleep)

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """Send until there is a whole answer.

        Raises:
            Passing: the last try failed too.
            Refused: asking again would not help.
        """
        kwargs["timeout"] = self._timeout
        return self._tries.copy()(self._send_once, request, kwargs)

    def hide_in(self, body: bytes) -> bytes:
        """A body without the secrets of requests, which some services repeat in their addresses."""
        for secret in self.secrets():
            for form in {secret, quote(secret, safe="")}:
                if len(form) >= SHORTEST_SECRET:
                    body = body.replace(form.encode(), b"***")
        return body

    def get_redirect_target(self, resp: Response) -> str | None:
        """Follow redirects on the same host only: the next host would be shown the secrets."""
        target = super().get_redirect_target(resp)
        if target is not None:
            self._stay(urljoin(resp.url, target))
        return target

    def _send_once(self, request: PreparedRequest, kwargs: dict[str, Any]) -> Response:
        self._stay(request.url or "")
        response = self._answer(request, kwargs)
        if response.status_code == 401 and self.renew is not None:
            self.renew(request)
            response = self._answer(request, kwargs)
        self._sort(response)
        if response.status_code not in NO_CONTENT:
            self.check(response)
        return response

    def _answer(self, request: PreparedRequest, kwargs: dict[str, Any]) -> Response:
        self.n_requests += 1
        where = without_query(request.url or "")
        try:
            response = super().send(request, **kwargs)
            status = self.status_in(response)
            if status is not None:
                response.status_code, response.reason = status, ""
            return response
        except requests.exceptions.SSLError as error:
            raise Refused(0, f"{where}: its certificate is not trusted") from error
        except requests.exceptions.Timeout as error:
            raise Passing(f"{where}: no answer within {self._timeout:g} s") from error
        except (
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            raise Passing(f"{where}: the answer broke off") from error
        except requests.exceptions.ConnectionError as error:
            raise Passing(f"{where}: cannot be reached") from error
        except requests.exceptions.RequestException as error:
            raise Refused(0, f"{where}: cannot be asked ({type(error).__name__})") from error

    def _sort(self, response: Response) -> None:
        status = response.status_code
        if status < 400:
            return
        said = f"{without_query(response.url)}: answered {status} {response.reason or ''}".rstrip()
        said += self.hide(reason_in(response))
        if status not in WILL_PASS:
            raise Refused(status, said)
        pause = _asked_pause(response)
        if pause is not None and pause > self._longest_wait:
            raise Refused(status, f"{said} and asks to wait {pause:.0f} s; try again later")
        raise Passing(said, pause)

    def _stay(self, url: str) -> None:
        if urlsplit(url).netloc.rpartition("@")[2] != self._host:
            raise Refused(
                0,
                f"{without_query(url)}: the service sent us to another host than {self._host}, "
                "which must not see our secrets; correct the address",
            )


def without_query(url: str) -> str:
    """An address as it may be told: without login and parameters, which may be secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def reason_in(response: Response) -> str:
    """What a service says of its refusal, ready to be added: ` (CODE: message)`, or nothing."""
    try:
        said = json_of(response.content)
    except ValueError:
        return ""
    said = said[0] if isinstance(said, list) and said else said
    if isinstance(said, dict) and isinstance(said.get("error"), dict):
        said = said["error"]
    if isinstance(said, dict) and isinstance(said.get("errors"), list) and said["errors"]:
        said = said["errors"][0]
    if not isinstance(said, dict):
        return ""
    message = next(
        (
            said[key]
            for key in ("message", "error_description", "errmsg", "description", "detail")
            if said.get(key)
        ),
        None,
    )
    code = next(
        (said[key] for key in ("errorCode", "code", "error", "errcode", "title") if said.get(key)),
        None,
    )
    if message is None:
        return ""
    text = f"{code}: {message}" if code else str(message)
    return f" ({one_line(text)[:LONGEST_REASON]})"


def status_reader(rule: StatusInBody) -> Callable[[Response], int | None]:
    """What finds the HTTP status that a body stands for; None when all is well."""

    def found(response: Response) -> int | None:
        try:
            code = member(document_of(response), rule.path)
        except ValueError:
            return None  # no JSON: told by who reads it
        if code is None or str(code) in rule.good:
            return None
        own = rule.other if response.status_code == 200 else None
        return rule.statuses.get(str(code), own)

    return found


def server_time(response: Response) -> float | None:
    """The service's own clock, in seconds since 1970; None when it does not tell."""
    told = email.utils.parsedate_tz(response.headers.get("Date", ""))
    return None if told is None else float(email.utils.mktime_tz(told))


def _asked_pause(response: Response) -> float | None:
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    moment = email.utils.parsedate_tz(text) if text else None
    until = _reset_of_limit(response) if moment is None else float(email.utils.mktime_tz(moment))
    if until is None:
        return None
    # by the service's clock: ours may be another
    now = server_time(response) or time.time()
    return max(0.0, until - now)


def _reset_of_limit(response: Response) -> float | None:
    """When a service's limit of requests begins anew, in seconds since 1970, where that is what refused."""
    if response.status_code != 429:
        return None  # X tells it with every answer
    if response.headers.get("x-rate-limit-remaining", "0").strip() != "0":
        return None  # requests were left: it is another limit that was met
    text = response.headers.get("x-rate-limit-reset", "").strip()
    return float(text) if text.isdigit() else None
