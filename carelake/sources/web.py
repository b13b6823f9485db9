"""A web session that sits out what passes by itself, and gives up at once on what does not.

dlt's client signs requests and turns pages; this session, which it is given, sends them.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests import PreparedRequest, Response

from carelake.sources.patience import Passing, Refused, patiently

WILL_PASS = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524})
"""Answers that the same request may not get the next time."""


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
        n_requests: how many were sent, repeats included.
        renew: fetches a new token and signs a request anew, after a 401.
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
        self._host, self._check = host, check
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
        if response.status_code != 204:
            self._check(response)
        return response

    def _answer(self, request: PreparedRequest, kwargs: dict[str, Any]) -> Response:
        self.n_requests += 1
        where = without_query(request.url or "")
        try:
            return super().send(request, **kwargs)
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


def server_time(response: Response) -> float | None:
    """The service's own clock, in seconds since 1970; None when it does not tell."""
    told = email.utils.parsedate_tz(response.headers.get("Date", ""))
    return None if told is None else float(email.utils.mktime_tz(told))


def _asked_pause(response: Response) -> float | None:
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    moment = email.utils.parsedate_tz(text) if text else None
    if moment is None:
        return None
    # by the service's clock: ours may be another
    now = server_time(response) or time.time()
    return max(0.0, email.utils.mktime_tz(moment) - now)
