"""Kind `rest`: a web service that hands out JSON in pages."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from carelake.setting_groups.base import Duration, Strict
from carelake.source_kinds.oauth import OAuth2Auth

Place = Literal["query", "body"]
SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "x-api-key"}


class NoAuth(Strict):
    """The service asks nobody who they are."""

    type: Literal["none"] = "none"


class BearerAuth(Strict):
    """A token in the Authorization header: the connection's password."""

    type: Literal["bearer"] = "bearer"


class BasicAuth(Strict):
    """The connection's login and password."""

    type: Literal["basic"] = "basic"


class ApiKeyAuth(Strict):
    """A key in a header or a parameter: the connection's password."""

    type: Literal["api_key"] = "api_key"
    name: str = Field(default="X-API-Key", description="Name of the header or parameter")
    place: Literal["header", "query"] = Field(default="header", description="Where the key goes")


Auth = Annotated[
    NoAuth | BearerAuth | BasicAuth | ApiKeyAuth | OAuth2Auth, Field(discriminator="type")
]


class SinglePage(Strict):
    """All there is comes at once."""

    by: Literal["single"] = "single"


class NextLink(Strict):
    """The body holds the address of the next page."""

    by: Literal["next_link"] = "next_link"
    path: str = Field(default="next", description="Dotted path of the address in the body")
    total: str | None = Field(default=None, description="Dotted path of the number of records")


class LinkHeader(Strict):
    """The Link header holds the address of the next page."""

    by: Literal["link_header"] = "link_header"
    rel: str = Field(default="next", description="Relation of the link")
    total: str | None = Field(default=None, description="Dotted path of the number of records")


class CursorPages(Strict):
    """The body holds a word that asks for the next page."""

    by: Literal["cursor"] = "cursor"
    path: str = Field(description="Dotted path of the cursor in the body")
    param: str = Field(default="cursor", description="Parameter that takes it back")
    total: str | None = Field(default=None, description="Dotted path of the number of records")
    place: Place = Field(default="query", description="Where the parameter goes")


class OffsetPages(Strict):
    """Pages are asked for by how many records to pass over."""

    by: Literal["offset"] = "offset"
    limit: int = Field(default=100, ge=1, description="Records per page")
    param: str = Field(default="offset", description="Parameter of the offset")
    limit_param: str = Field(default="limit", description="Parameter of the limit")
    total: str | None = Field(default=None, description="Dotted path of the number of records")
    place: Place = Field(default="query", description="Where the parameters go")


class NumberedPages(Strict):
    """Pages are asked for by number."""

    by: Literal["page_number"] = "page_number"
    param: str = Field(default="page", description="Parameter of the number")
    first: int = Field(default=1, description="Number of the first page")
    total: str | None = Field(default=None, description="Dotted path of the number of records")
    place: Place = Field(default="query", description="Where the parameter goes")


Pages = Annotated[
    SinglePage | NextLink | LinkHeader | CursorPages | OffsetPages | NumberedPages,
    Field(discriminator="by"),
]


class Incremental(Strict):
    """Ask only for what changed since the last time."""

    field: str = Field(description="Dotted path in a record of the time it last changed")
    since_param: str = Field(description="Parameter for the beginning of the window")
    until_param: str | None = Field(default=None, description="Parameter for its end")
    format: str = Field(
        default="iso", description="Of both: iso, date, epoch, epoch_ms or a strftime format"
    )
    place: Place = Field(default="query", description="Where the parameters go")
    look_back: Duration = Field(
        default="1h",
        description="How far before the newest record each reading begins, for late edits",
    )
    initial: dt.datetime | None = Field(
        default=None, description="Where the first reading begins; the whole past if unset"
    )

    @field_validator("initial")
    @classmethod
    def _in_utc(cls, value: dt.datetime | None) -> dt.datetime | None:
        if value is not None and value.tzinfo is None:
            return value.replace(tzinfo=dt.UTC)
        return value


class RestSettings(Strict):
    """How a web service is asked."""

    url: str | None = Field(
        default=None, description="Address of the service; the connection's host if unset"
    )
    endpoint: str = Field(default="", description="What is asked for, below the address")
    method: Literal["GET", "POST"] = Field(default="GET", description="How it is asked for")
    params: dict[str, str] = Field(default={}, description="Parameters of every request")
    headers: dict[str, str] = Field(default={}, description="Headers of every request; no secrets")
    body: dict[str, Any] | None = Field(default=None, description="POST: JSON of every request")
    auth: Auth = NoAuth()
    pages: Pages = SinglePage()
    incremental: Incremental | None = None
    timeout_seconds: float = Field(default=30, gt=0, description="Patience with one answer")
    attempts: int = Field(default=6, ge=1, description="Tries of a request before giving up")
    longest_wait: Duration = Field(
        default="5m", description="Longest pause the service may ask for"
    )

    @field_validator("url")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"'{value}' is no address; write https://host/path")
        if parts.username or parts.password:
            raise ValueError("holds a password; put it into the connection")
        return value

    @field_validator("params", mode="before")
    @classmethod
    def _text_params(cls, value: Any) -> Any:
        return {k: str(v) for k, v in value.items()} if isinstance(value, dict) else value

    @field_validator("headers")
    @classmethod
    def _no_secrets(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name.lower() in SECRET_HEADERS:
                raise ValueError(f"{name} belongs into `auth` and a connection, not into this file")
        return value

    @model_validator(mode="after")
    def _whole(self) -> RestSettings:
        uses_body = self.body is not None or any(
            getattr(part, "place", "query") == "body" for part in (self.pages, self.incremental)
        )
        if uses_body and self.method == "GET":
            raise ValueError("a body needs `method: POST`")
        return self


def check_rest(rest: RestSettings, connection: str | None) -> None:
    """Hold a web service's keys against the source's connection.

    Raises:
        ValueError: there is no address, or nothing to take secrets from.
    """
    if connection is None and rest.url is None:
        raise ValueError("rest.url is missing; add it, or a connection with a host")
    if connection is None and rest.auth.type != "none":
        raise ValueError(f"connection is missing; auth {rest.auth.type} takes secrets from it")
