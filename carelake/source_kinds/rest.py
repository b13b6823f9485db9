"""Kind `rest`: a web service that hands out JSON in pages."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from carelake.setting_groups.base import Duration, Strict
from carelake.source_kinds.oauth import OAuth2Auth, TokenAuth

Place = Literal["query", "body"]
WindowPlace = Literal["query", "body", "header"]
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
    NoAuth | BearerAuth | BasicAuth | ApiKeyAuth | OAuth2Auth | TokenAuth,
    Field(discriminator="type"),
]


class SinglePage(Strict):
    """All there is comes at once."""

    by: Literal["single"] = "single"


class NextLink(Strict):
    """The body holds the address of the next page."""

    by: Literal["next_link"] = "next_link"
    path: str = Field(default="next", description="Dotted path of the address in the body")
    last: str | None = Field(
        default=None, description="Dotted path of a flag that is true on the last page"
    )
    more: str | None = Field(
        default=None, description="Dotted path of a flag that is true while pages follow"
    )
    resume: str | None = Field(
        default=None,
        description="Dotted path, on the last page, of the address that later brings what changed "
        "since; it is the cursor, in place of a time",
    )
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
    more: str | None = Field(
        default=None, description="Dotted path of a flag that is true while pages follow"
    )
    until_empty: bool = Field(
        default=False, description="Whether only a page without records is the last"
    )
    resume: bool = Field(
        default=False,
        description="Whether the newest word also begins the next reading, in place of a time",
    )
    total: str | None = Field(default=None, description="Dotted path of the number of records")
    place: Place = Field(default="query", description="Where the parameter goes")


class RecordPages(Strict):
    """The last record of a page asks for those after it, up to a page without records."""

    by: Literal["record"] = "record"
    param: str = Field(description="Parameter that takes its id, as in `after`")
    id: str = Field(default="id", description="Dotted path of a record's id")
    first: str | None = Field(default=None, description="What the first page is asked for with")
    total: str | None = Field(default=None, description="Dotted path of the number of records")


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
    more: str | None = Field(
        default=None, description="Dotted path of a flag that is true while pages follow"
    )
    grows_at_end: bool = Field(
        default=False,
        description="Whether nothing moves while pages turn, as records only come behind the others",
    )
    total: str | None = Field(default=None, description="Dotted path of the number of records")
    place: Place = Field(default="query", description="Where the parameter goes")


Pages = Annotated[
    SinglePage | NextLink | LinkHeader | CursorPages | RecordPages | OffsetPages | NumberedPages,
    Field(discriminator="by"),
]


class WindowText(Strict):
    """The window as words of a query, put where the parameter says `{window}`."""

    since: str = Field(description="As in `changed >= {time}`")
    until: str | None = Field(default=None, description="As in `changed < {time}`")
    begin: str = Field(default="", description="Put before them, as in `WHERE `")
    between: str = Field(default=" AND ", description="Put between the two")


class Incremental(Strict):
    """Ask only for what changed since the last time."""

    field: str = Field(description="Dotted path in a record of the time it last changed")
    since_param: str | None = Field(
        default=None,
        description="Parameter for the beginning of the window; none where `newest_first` finds it",
    )
    until_param: str | None = Field(default=None, description="Parameter for its end")
    format: str = Field(
        default="iso", description="Of both: iso, date, epoch, epoch_ms or a strftime format"
    )
    place: WindowPlace = Field(default="query", description="Where the parameters go")
    is_number: bool = Field(
        default=False, description="In a body: written as a number, not as text"
    )
    longest: Duration | None = Field(
        default=None,
        description="Longest window the service answers for: a longer one is asked for piece by piece",
    )
    newest_first: bool = Field(
        default=False,
        description="Whether the listing begins with what changed last: reading ends with the window",
    )
    window: WindowText | None = Field(
        default=None,
        description="Where the window is part of a query: `since_param` names the parameter of it",
    )
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

    @model_validator(mode="after")
    def _pieces_have_a_beginning(self) -> Incremental:
        if self.longest is not None and self.initial is None:
            raise ValueError("initial is missing; a window in pieces needs a beginning")
        if self.since_param is None and not self.newest_first:
            raise ValueError("since_param is missing; add it, or `newest_first: true`")
        if self.is_number and self.format not in ("epoch", "epoch_ms"):
            raise ValueError("is_number needs format epoch or epoch_ms")
        return self


class CountAsked(Strict):
    """How the service is asked how many records it has, where no page tells."""

    endpoint: str = Field(description="What is asked for, below the address")
    path: str = Field(description="Dotted path of the number in the answer")
    params: dict[str, str] = Field(default={}, description="Parameters of the request")


class MoreListing(Strict):
    """One more listing of the same records, as of those that were deleted."""

    endpoint: str = Field(description="What is asked for, below the address")
    params: dict[str, str] = Field(default={}, description="Parameters of its requests")
    field: str | None = Field(
        default=None,
        description="Dotted path of the time a record last changed, where it is another one",
    )
    pages: Pages | None = Field(
        default=None, description="How its pages turn, where it is another way"
    )


class EachRecord(Strict):
    """One more request for each record of the listing; what it answers is what lands."""

    endpoint: str = Field(description="What is asked for, as in `conversations/{id}`")
    id: str = Field(default="id", description="Dotted path of the record's `{id}`")
    listed: str | None = Field(
        default=None,
        description="Dotted path of the records in the listing; records_path is theirs",
    )
    params: dict[str, str] = Field(default={}, description="Parameters of its requests")
    pages: Pages = Field(default=SinglePage(), description="How its pages turn")

    @field_validator("endpoint")
    @classmethod
    def _names_the_record(cls, value: str) -> str:
        if "{id}" not in value:
            raise ValueError("must say where the record's id goes: conversations/{id}")
        return value


class StatusInBody(Strict):
    """Where an answer says what became of a request, though its HTTP status is 200, or another."""

    path: str = Field(description="Dotted path of the code, as in `errcode`")
    good: list[str] = Field(default=["0"], description="Codes of a request that was answered")
    statuses: dict[str, int] = Field(
        default={},
        description="Code -> the HTTP status it stands for: 401 fetches another token, 429 and 503 "
        "are tried again",
    )
    other: int = Field(
        default=422,
        description="What every other code of an answer with HTTP status 200 stands for",
    )


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
    also: list[MoreListing] = Field(
        default=[], description="More listings that are read with it and land in the same batch"
    )
    each: EachRecord | None = None
    count: CountAsked | None = None
    status_in_body: StatusInBody | None = None
    empty: str | None = Field(
        default=None,
        description="Dotted path of a number: where it is 0, an answer may lack the records",
    )
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
