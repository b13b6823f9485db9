"""OAuth2: tokens that are fetched, and fetched anew when they have run out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
from dlt.sources.helpers.rest_client import auth as dlt_auth
from requests import PreparedRequest

from carelake.source_kinds.oauth import OAuth2Auth
from carelake.sources.connections import Connection
from carelake.sources.patience import Passing, Refused
from carelake.sources.renewed_secrets import RenewedSecret
from carelake.sources.web import PatientSession


class FetchedToken(dlt_auth.OAuth2ClientCredentials):  # type: ignore[misc, unused-ignore]
    """A token fetched anew when it has run out, or when the service says so."""

    refresh: RenewedSecret | None = None

    def obtain_token(self) -> None:
        """Fetch a token, with the newest refresh token where one is used."""
        try:
            if self.refresh is None:
                super().obtain_token()
            else:
                with self.refresh.in_turn():
                    super().obtain_token()
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
        self.access_token = None
        self(request)


def fetched_token(
    auth: OAuth2Auth,
    connection: Connection,
    *,
    attempts: int,
    timeout: float,
    sleep: Callable[[float], None] = time.sleep,
) -> FetchedToken:
    """What signs requests as `auth` says.

    Args:
        attempts: tries of a request for a token.
        timeout: seconds of silence that are waited for.
        sleep: waits so many seconds between tries.

    Raises:
        ConfigError: the connection lacks something.
    """
    asked: dict[str, str] = {"scope": auth.scope} if auth.scope else {}
    refresh = None
    if auth.grant == "refresh_token":
        asked |= {"grant_type": auth.grant}
        refresh = RenewedSecret(connection.name, connection.need("refresh_token"))
    session = PatientSession(
        urlsplit(auth.token_url).netloc,
        check=lambda response: None,
        attempts=attempts,
        timeout=timeout,
        sleep=sleep,
    )
    signer = FetchedToken(
        access_token_url=auth.token_url,
        client_id=connection.need("login"),
        client_secret=connection.need("password"),
        access_token_request_data=asked,
        session=session,
    )
    signer.refresh = refresh
    return signer
