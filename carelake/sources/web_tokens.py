"""OAuth2: tokens that are fetched, and fetched anew when they have run out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import pendulum
import requests
from dlt.sources.helpers.rest_client import auth as dlt_auth
from requests import PreparedRequest

from carelake.source_kinds.oauth import OAuth2Auth, TokenAuth
from carelake.source_kinds.rest import StatusInBody
from carelake.sources.connections import Connection
from carelake.sources.patience import Passing, Refused
from carelake.sources.renewed_secrets import RenewedSecret
from carelake.sources.web import PatientSession, status_reader

EARLY = 60
"""Seconds before its end from which a token is not handed on: what begins with it must end."""


class SharedToken(RenewedSecret):
    """A fetched token that all sources of a connection use; another login makes it worthless."""

    def __init__(self, connection: Connection, address: str) -> None:
        refresh = str(connection.extra.get("refresh_token", ""))
        login = "\n".join([address, connection.login, connection.password, refresh])
        super().__init__(f"{connection.name}.token", login)

    @property
    def value(self) -> str:
        """What was kept, empty when nothing was."""
        found = super().value
        return found if found.startswith("{") else ""


class FetchedToken(dlt_auth.OAuth2ClientCredentials):  # type: ignore[misc, unused-ignore]
    """A token fetched anew when it has run out, or when the service says so.

    Attributes:
        refresh: the refresh token, where one is used.
        shared: the token itself, where several sources use one connection: services count how
            many tokens are fetched.
        scheme: word before the token in the header.
    """

    refresh: RenewedSecret | None = None
    shared: RenewedSecret | None = None
    scheme: str = "Bearer"
    refused: str | None = None

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request."""
        signed: PreparedRequest = super().__call__(request)
        signed.headers["Authorization"] = f"{self.scheme} {self.access_token}"
        return signed

    def obtain_token(self) -> None:
        """Take the token that another source fetched, else fetch one."""
        if self.shared is None:
            self._fetch()
            return
        with self.shared.in_turn():
            kept = json.loads(self.shared.value or "{}")
            if kept.get("until", 0) > time.time() and kept["token"] != self.refused:
                self.access_token = kept["token"]
                self.token_expiry = pendulum.from_timestamp(kept["until"])
                return
            self._fetch()
            until = self.token_expiry.timestamp() - EARLY
            self.shared.replace(json.dumps({"token": self.access_token, "until": until}))

    def _fetch(self) -> None:
        """Fetch a token, with the newest refresh token where one is used."""
        try:
            if self.refresh is None:
                self._ask()
            else:
                with self.refresh.in_turn():
                    self._ask()
        except Refused as refusal:
            if refusal.status in (400, 401) and self.refresh is not None:
                raise Refused(
                    refusal.status,
                    f"{refusal}: the refresh token is not accepted; allow access anew and put the "
                    "new one into the connection's extra",
                ) from refusal
            raise
        except (requests.RequestException, ValueError) as error:
            raise Passing("no token could be fetched") from error
        if not self.access_token or self.access_token == "None":
            raise Refused(401, "the token's service gave none; check client id and secret")

    def _ask(self) -> None:
        super().obtain_token()

    def build_access_token_request(self) -> dict[str, Any]:
        """The form that asks for a token."""
        asked: dict[str, Any] = super().build_access_token_request()
        if self.refresh is not None:
            asked["data"]["refresh_token"] = self.refresh.value
        return asked

    def parse_access_token(self, response_json: Any) -> str:
        """The token; a new refresh token that comes with it is kept first."""
        successor = response_json.get("refresh_token")
        if self.refresh is not None and successor and successor != self.refresh.value:
            self.refresh.replace(str(successor))
        return str(super().parse_access_token(response_json))

    def renew(self, request: PreparedRequest) -> None:
        """Sign a request with a new token."""
        self.refused, self.access_token = self.access_token, None
        self(request)


class ParameterToken(FetchedToken):
    """A token that goes into each request's address.

    Attributes:
        rule: how it is fetched, and the parameter's name.
    """

    rule: TokenAuth

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request."""
        if self.access_token is None or self.is_token_expired():
            self.obtain_token()
        parts = urlsplit(request.url or "")
        asked = [item for item in parse_qsl(parts.query, True) if item[0] != self.rule.param]
        query = urlencode([*asked, (self.rule.param, str(self.access_token))])
        request.url = urlunsplit(parts._replace(query=query))
        return request

    def _ask(self) -> None:
        secrets = {
            self.rule.login_param: self.client_id,
            self.rule.password_param: self.client_secret,
        }
        place = "params" if self.rule.method == "GET" else "json"
        asked: dict[str, Any] = {place: {**self.rule.params, **secrets}}
        said = self.session.request(self.rule.method, self.access_token_url, **asked).json()
        self.access_token = self.parse_access_token(said)
        lasts = self.parse_expiration_in_seconds(said)
        self.token_expiry = pendulum.now().add(seconds=lasts)


def fetched_token(
    auth: OAuth2Auth | TokenAuth,
    connection: Connection,
    *,
    attempts: int,
    timeout: float,
    sleep: Callable[[float], None] = time.sleep,
    is_shared: bool = False,
    status_in_body: StatusInBody | None = None,
) -> FetchedToken:
    """What signs requests as `auth` says.

    Args:
        is_shared: whether other sources of the connection use the same token.
        status_in_body: where the service says that it gives none, with an answer of 200.
        attempts: tries of a request for a token.
        timeout: seconds of silence that are waited for.
        sleep: waits so many seconds between tries.

    Raises:
        ConfigError: the connection lacks something.
    """
    asked: dict[str, str] = {}
    if isinstance(auth, OAuth2Auth) and auth.scope:
        asked["scope"] = auth.scope.replace("{host}", connection.url or "")
    refresh = None
    if isinstance(auth, OAuth2Auth) and auth.grant == "refresh_token":
        asked |= {"grant_type": auth.grant}
        refresh = RenewedSecret(connection.name, connection.need("refresh_token"))
    address = urljoin(connection.url or "", auth.token_url)
    session = PatientSession(
        urlsplit(address).netloc,
        check=lambda response: None,
        attempts=attempts,
        timeout=timeout,
        sleep=sleep,
    )
    session.hide = lambda text: connection.hide(text, refresh.value if refresh else "")
    if status_in_body is not None:
        session.status_in = status_reader(status_in_body)
    signer = (FetchedToken if isinstance(auth, OAuth2Auth) else ParameterToken)(
        access_token_url=address,
        client_id=connection.need("login"),
        client_secret=connection.need("password"),
        access_token_request_data=asked,
        session=session,
    )
    signer.refresh = refresh
    if isinstance(auth, OAuth2Auth):
        signer.scheme = auth.scheme
    elif isinstance(signer, ParameterToken):
        signer.rule = auth
    if is_shared:
        signer.shared = SharedToken(connection, address)
    return signer
