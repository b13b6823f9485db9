"""Ask a web service for its pages: dlt's client turns them and signs, our session sends."""

from __future__ import annotations

import copy
import datetime as dt
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from dlt.common.configuration.specs.runtime_configuration import RuntimeConfiguration
from dlt.sources.helpers.rest_client import auth as dlt_auth
from dlt.sources.helpers.rest_client import paginators
from dlt.sources.helpers.rest_client.client import RESTClient
from dlt.sources.helpers.rest_client.exceptions import IgnoreResponseException
from requests import Response

from carelake.errors import ConfigError
from carelake.setting_groups.base import as_time
from carelake.source_kinds.rest import (
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    CursorPages,
    LinkHeader,
    NextLink,
    NoAuth,
    NumberedPages,
    OffsetPages,
    RestSettings,
)
from carelake.source_list import Source
from carelake.sources.connections import Connection, find_connection
from carelake.sources.json_body import json_of, plain_utf8
from carelake.sources.patience import Passing, Refused
from carelake.sources.reading import Page, member
from carelake.sources.web import PatientSession, server_time
from carelake.sources.web_tokens import FetchedToken, fetched_token
from carelake.window import Window

MOST_PAGES = 1_000_000


class Asker:
    """Asks one service for one listing.

    Args:
        source: of kind rest.
        window: which part of the listing.
        sleep: waits so many seconds between tries.

    Attributes:
        is_steady: whether the service keeps the reader's place, so that nothing can be missed.

    Raises:
        ConfigError: the connection is missing or lacks something.
    """

    def __init__(self, source: Source, window: Window, sleep: Callable[[float], None]) -> None:
        if source.rest is None:
            raise ConfigError(f"source '{source.name}' is not of kind rest")
        self._source, self._rest = source, source.rest
        connection = find_connection(source.connection) if source.connection else None
        url = self._rest.url or (connection.url if connection else None)
        if url is None:
            raise ConfigError(f"connection '{source.connection}' has no host; add it, or rest.url")
        self.is_steady = not isinstance(self._rest.pages, OffsetPages | NumberedPages)
        self._session = PatientSession(
            urlsplit(url).netloc,
            check=self._check,
            attempts=self._rest.attempts,
            timeout=self._rest.timeout_seconds,
            longest_wait=as_time(self._rest.longest_wait).total_seconds(),
            sleep=sleep,
        )
        signer = _signer(self._rest, connection, sleep)
        if isinstance(signer, FetchedToken):
            self._session.renew = signer.renew
        self._client = _Client(
            url,
            headers=dict(self._rest.headers),
            auth=signer,
            session=self._session,
            config=RuntimeConfiguration(),
            find_records=self._records,
        )
        self._params, self._body = _asked(self._rest, window)

    @property
    def n_requests(self) -> int:
        """Requests sent so far, repeats included."""
        return self._session.n_requests

    def pages(self) -> Iterator[Page]:
        """Every page of the listing, from its beginning.

        Raises:
            Passing: the service has trouble of its own, after all tries.
            Refused: it does not want to answer, or its pages do not turn.
        """
        previous = b""
        pages = self._client.paginate(
            self._rest.endpoint,
            method=self._rest.method,
            params=dict(self._params),
            json=copy.deepcopy(self._body),
            paginator=_paginator(self._rest),
            hooks={"response": [_end_at_no_content]},
        )
        for number, data in enumerate(pages, start=1):
            body = plain_utf8(data.response.content)
            if (data and body == previous) or number > MOST_PAGES:
                raise Refused(
                    0,
                    f"page {number} is page {number - 1} again; correct the parameters of rest.pages",
                )
            previous = body
            yield Page(body, list(data), self._total(data.response), _clock(data.response))

    def _check(self, response: Response) -> None:
        """Refuse an answer that is not whole."""
        try:
            document = json_of(response.content)
        except ValueError as error:
            raise Passing(f"{self._source.where}: the answer is no JSON ({error})") from error
        self._records(document)

    def _records(self, document: Any) -> list[Any]:
        path = self._source.records_path
        found = member(document, path) if path else document
        if found is None and path and not _has(document, path):
            raise Passing(
                f"{self._source.where}: the answer has no {path}; correct records_path if it never has"
            )
        if found is None:
            return []
        return found if isinstance(found, list) else [found]

    def _total(self, response: Response) -> int | None:
        path = getattr(self._rest.pages, "total", None)
        found = member(json_of(response.content), path) if path else None
        return int(found) if isinstance(found, int | float | str) and str(found).isdigit() else None


class _Client(RESTClient):  # type: ignore[misc, unused-ignore]
    """dlt's client, which finds records the way the load does."""

    def __init__(self, *args: Any, find_records: Callable[[Any], list[Any]], **options: Any):
        super().__init__(*args, **options)
        self._find_records = find_records
        self.data_selector = "$"

    def extract_response(self, response: Response, data_selector: Any) -> list[Any]:
        return self._find_records(json_of(response.content))


def _signer(
    rest: RestSettings, connection: Connection | None, sleep: Callable[[float], None]
) -> Any:
    auth = rest.auth
    if isinstance(auth, NoAuth) or connection is None:
        return None
    if isinstance(auth, BearerAuth):
        return dlt_auth.BearerTokenAuth(connection.need("password"))
    if isinstance(auth, BasicAuth):
        return dlt_auth.HttpBasicAuth(connection.need("login"), connection.need("password"))
    if isinstance(auth, ApiKeyAuth):
        return dlt_auth.APIKeyAuth(auth.name, connection.need("password"), auth.place)
    return fetched_token(
        auth, connection, attempts=rest.attempts, timeout=rest.timeout_seconds, sleep=sleep
    )


def _paginator(rest: RestSettings) -> paginators.BasePaginator:
    """A new paginator, at the first page."""
    pages = rest.pages
    if isinstance(pages, NextLink):
        return paginators.JSONLinkPaginator(pages.path)
    if isinstance(pages, LinkHeader):
        return paginators.HeaderLinkPaginator(pages.rel)
    if isinstance(pages, CursorPages):
        param, path = _placed(pages.place, pages.param)
        return paginators.JSONResponseCursorPaginator(
            pages.path, cursor_param=param, cursor_body_path=path
        )
    if isinstance(pages, OffsetPages):
        param, path = _placed(pages.place, pages.param)
        limit, limit_path = _placed(pages.place, pages.limit_param)
        return paginators.OffsetPaginator(
            pages.limit,
            total_path=None,
            offset_param=param,
            offset_body_path=path,
            limit_param=limit,
            limit_body_path=limit_path,
        )
    if isinstance(pages, NumberedPages):
        param, path = _placed(pages.place, pages.param)
        return paginators.PageNumberPaginator(
            base_page=pages.first, total_path=None, page_param=param, page_body_path=path
        )
    return paginators.SinglePagePaginator()


def _placed(place: str, name: str) -> tuple[str | None, str | None]:
    """A parameter's name as dlt's paginators take it: (in the query, in the body)."""
    return (name, None) if place == "query" else (None, name)


def _asked(rest: RestSettings, window: Window) -> tuple[dict[str, str], dict[str, Any] | None]:
    """Parameters and body of the first request, the window in one of them."""
    params: dict[str, str] = dict(rest.params)
    body = copy.deepcopy(rest.body) if rest.method == "POST" else None
    rule = rest.incremental
    if rule is None:
        return params, body
    for name, moment in ((rule.since_param, window.since), (rule.until_param, window.until)):
        if name is None or moment is None:
            continue
        if rule.place == "query":
            params[name] = written(moment, rule.format)
        else:
            body = {**(body or {}), name: written(moment, rule.format)}
    return params, body


def written(moment: dt.datetime, form: str) -> str:
    """A time as the service wants it."""
    utc = moment.astimezone(dt.UTC)
    if form == "epoch":
        return str(int(utc.timestamp()))
    if form == "epoch_ms":
        return str(int(utc.timestamp() * 1000))
    forms = {"iso": "%Y-%m-%dT%H:%M:%SZ", "date": "%Y-%m-%d"}
    return utc.strftime(forms.get(form, form))


def _end_at_no_content(response: Response, *args: Any, **kwargs: Any) -> None:
    if response.status_code == 204:
        raise IgnoreResponseException


def _clock(response: Response) -> dt.datetime:
    return dt.datetime.fromtimestamp(server_time(response) or time.time(), dt.UTC)


def _has(document: Any, path: str) -> bool:
    """Whether the last part of a path is there, though it may be null."""
    above, _, last = path.rpartition(".")
    holder = member(document, above) if above else document
    return isinstance(holder, dict) and last in holder
