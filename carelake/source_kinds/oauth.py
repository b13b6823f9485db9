"""Tokens that are fetched with a login and a secret, as several kinds use them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from carelake.setting_groups.base import Strict


class OAuth2Auth(Strict):
    """Tokens fetched with the connection's login (client id) and password (client secret)."""

    type: Literal["oauth2"] = "oauth2"
    token_url: str = Field(
        description="Where tokens are fetched; begins with / when on the connection's host"
    )
    grant: Literal["client_credentials", "refresh_token"] = Field(
        default="client_credentials",
        description="refresh_token takes `refresh_token` from the connection's extra",
    )
    scope: str | None = Field(
        default=None,
        description="Asked for with the token; {host} is the address of the connection",
    )
    scheme: str = Field(default="Bearer", description="Word before the token in the header")


class TokenAuth(Strict):
    """Tokens fetched with the connection's login and password, sent as a parameter of each request."""

    type: Literal["token"] = "token"
    token_url: str = Field(
        description="Where tokens are fetched; begins with / when on the connection's host"
    )
    method: Literal["GET", "POST"] = Field(
        default="GET", description="GET with parameters, or POST with JSON"
    )
    login_param: str = Field(description="Parameter of the login, as in `corpid`")
    password_param: str = Field(description="Parameter of the password, as in `corpsecret`")
    params: dict[str, Any] = Field(default={}, description="More parameters of that request")
    param: str = Field(default="access_token", description="Parameter that takes the token")
