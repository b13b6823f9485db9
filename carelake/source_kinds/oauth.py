"""OAuth2, as several kinds use it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from carelake.setting_groups.base import Strict


class OAuth2Auth(Strict):
    """Tokens fetched with the connection's login (client id) and password (client secret)."""

    type: Literal["oauth2"] = "oauth2"
    token_url: str = Field(description="Where tokens are fetched")
    grant: Literal["client_credentials", "refresh_token"] = Field(
        default="client_credentials",
        description="refresh_token takes `refresh_token` from the connection's extra",
    )
    scope: str | None = Field(default=None, description="Asked for with the token")
