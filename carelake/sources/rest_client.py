"""Ask a web service for its pages: dlt's client turns them and signs, our session sends."""

from __future__ import annotations

import copy
import datetime as dt
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from dlt.common.configuration.specs.runtime_configuration import RuntimeConfiguration
from dlt.sources.helpers.rest_client import auth as dlt_auth
from dlt.sources.helpers.rest_client.client import PageData, RESTClient
from dlt.sources.helpers.rest_client.exceptions import IgnoreResponseException
from requests import Response

from carelake.errors import ConfigError
from carelake.setting_groups.base import as_time
from carelake.source import Source
from carelake.source_kinds.rest import (
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    CountAsked,
    CursorPages,
    MoreListing,
    NoAuth,
    NumberedPages,
    OffsetPages,
    Pages,
    RestSettings,
)
from carelake.sources.connections import Connection, find_connection
from carelake.sources.json_body import document_of, plain_utf8
from carelake.sources.patience import Passing, Refused
from carelake.sources.reading import Page, member
from carelake.sources.rest_asked import Asked, in_words
from carelake.sources.rest_pages import paginator_of
from carelake.sources.web import (
    NO_CONTENT,
    PatientSession,
    server_time,
    status_reader,
    without_query,
)
from carelake.sources.web_tokens import FetchedToken, fetched_token
from carelake.window import Window

MOST_PAGES = 1_000_000


class Asker:
    """Asks one service for one listing.

    Args:
        source: of kind rest.
        window: which part of the listing.
        sleep: waits so many seconds between tries.
        more: another listing of the same records.
        resume: what the last reading left, to ask for what changed since.

    Attributes:
        is_steady: whether the service keeps the reader's place, so that nothing can be missed.
        since: what changed before it is not wanted, of a listing that begins with the newest.

    Raises:
        ConfigError: the connection is missing or lacks something.
    """

    def __init__(
        self,
        source: Source,
        window: Window,
        sleep: Callable[[float], None],
        *,
        more: MoreListing | None = None,
        resume: str | None = None,
    ) -> None:
        if source.rest is None:
            raise ConfigError(f"source '{source.name}' is not of kind rest")
        self._source, self._rest = source, source.rest
        connection = find_connection(source.connection) if source.connection else None
        url = self._rest.url or (connection.url if connection else None)
        if url is None:
            raise ConfigError(f"connection '{source.connection}' has no host; add it, or rest.url")
        self._window = window
        rule = self._rest.incremental
        self.since = window.since if rule and rule.newest_first else None
        self._path = self._rest.each.listed if self._rest.each else source.records_path
        self._pages = (more.pages if more else None) or self._rest.pages
        self.is_steady = getattr(self._pages, "grows_at_end", False) or not isinstance(
            self._pages, OffsetPages | NumberedPages
        )
        self._session = PatientSession(
            urlsplit(url).netloc,
            check=self._check,
            attempts=self._rest.attempts,
            timeout=self._rest.timeout_seconds,
            longest_wait=as_time(self._rest.longest_wait).total_seconds(),
            sleep=sleep,
        )
        signer = _signer(self._rest, connection, sleep, is_shared=source.block != source.name)
        if isinstance(signer, FetchedToken):
            self._session.renew = signer.renew
        self._session.hide = _hider(connection, signer)
        self._session.secrets = _secrets(connection, signer)
        if self._rest.status_in_body is not None:
            self._session.status_in = status_reader(self._rest.status_in_body)
        self._client = _Client(
            url,
            headers=dict(self._rest.headers),
            auth=signer,
            session=self._session,
            config=RuntimeConfiguration(),
            find_records=self._records,
        )
        self._asked = Asked(self._rest, window, more)
        if resume:
            self._asked.go_on(self._pages, resume)

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
        asked = self._asked
        turned = self._turned(
            self._pages,
            asked.endpoint,
            method=self._rest.method,
            params=dict(asked.params),
            headers=dict(asked.headers),
            json=copy.deepcopy(asked.body),
        )
        for number, (body, data) in enumerate(turned, start=1):
            document = document_of(data.response)
            yield Page(
                body,
                list(data),
                self._total(document),
                _clock(data.response),
                self._resume(document),
                number == 1 and self._says_last(document),
            )

    def _turned(
        self, pages: Pages, endpoint: str, **request: Any
    ) -> Iterator[tuple[bytes, PageData[Any]]]:
        """Every page of a listing: its bytes without our secrets, and its records."""
        previous = b""
        turned = self._client.paginate(
            endpoint,
            paginator=paginator_of(pages),
            hooks={"response": [_end_at_no_content]},
            **request,
        )
        for number, data in enumerate(turned, start=1):
            body = plain_utf8(data.response.content)
            if (data and body == previous) or number > MOST_PAGES:
                raise Refused(
                    0,
                    f"page {number} is page {number - 1} again; correct the parameters of rest.pages",
                )
            previous = body
            yield self._session.hide_in(body), data

    def children(self, record: Any) -> Iterator[bytes]:
        """The answers to the request that a record of the listing stands for; none when it is gone.

        Raises:
            Passing, Refused: as for the listing.
        """
        each = self._rest.each
        ident = member(record, each.id) if each else None
        if each is None or ident is None:
            return
        listed, self._path = self._path, self._source.records_path
        try:
            endpoint = each.endpoint.replace("{id}", quote(str(ident), safe=""))
            for body, _ in self._turned(each.pages, endpoint, params=dict(each.params)):
                yield body
        except Refused as refusal:
            if refusal.status not in (404, 410):
                raise
        finally:
            self._path = listed

    def count(self, asked: CountAsked) -> int | None:
        """The number the service gives when it is asked for one."""
        window = self._rest.incremental.window if self._rest.incremental else None
        params = in_words(asked.params, window, self._window)
        check, self._session.check = self._session.check, _is_json
        try:
            response = self._client.get(asked.endpoint, params=params)
        finally:
            self._session.check = check
        return _number(member(document_of(response), asked.path))

    def _check(self, response: Response) -> None:
        """Refuse an answer that is not whole."""
        try:
            document = document_of(response)
        except ValueError as error:
            raise Passing(f"{self._source.where}: the answer is no JSON ({error})") from error
        self._records(document)

    def _records(self, document: Any) -> list[Any]:
        path = self._path
        found = member(document, path) if path else document
        if found is None and path and not _has(document, path) and not self._is_empty(document):
            raise Passing(
                f"{self._source.where}: the answer has no {path}; correct records_path if it never has"
            )
        if found is None:
            return []
        return found if isinstance(found, list) else [found]

    def _is_empty(self, document: Any) -> bool:
        path = self._rest.empty
        return path is not None and _number(member(document, path)) == 0

    def _total(self, document: Any) -> int | None:
        path = getattr(self._pages, "total", None)
        return _number(member(document, path)) if path else None

    def _says_last(self, document: Any) -> bool:
        path = getattr(self._pages, "more", None)
        return path is not None and _has(document, path) and not member(document, path)

    def _resume(self, document: Any) -> str | None:
        if isinstance(self._pages, CursorPages):
            path = self._pages.path if self._pages.resume else None
        else:
            path = getattr(self._pages, "resume", None)
        found = member(document, path) if path else None
        return str(found) if found else None


class _Client(RESTClient):  # type: ignore[misc, unused-ignore]
    """dlt's client, which finds records the way the load does."""

    def __init__(self, *args: Any, find_records: Callable[[Any], list[Any]], **options: Any):
        super().__init__(*args, **options)
        self._find_records = find_records
        self.data_selector = "$"

    def extract_response(self, response: Response, data_selector: Any) -> list[Any]:
        return self._find_records(document_of(response))


def _signer(
    rest: RestSettings,
    connection: Connection | None,
    sleep: Callable[[float], None],
    *,
    is_shared: bool,
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
        auth,
        connection,
        attempts=rest.attempts,
        timeout=rest.timeout_seconds,
        sleep=sleep,
        is_shared=is_shared,
        status_in_body=rest.status_in_body,
    )


def _end_at_no_content(response: Response, *args: Any, **kwargs: Any) -> None:
    if response.status_code in NO_CONTENT:
        raise IgnoreResponseException


def _clock(response: Response) -> dt.datetime:
    return dt.datetime.fromtimestamp(server_time(response) or time.time(), dt.UTC)


def _number(found: Any) -> int | None:
    return int(found) if isinstance(found, int | float | str) and str(found).isdigit() else None


def _is_json(response: Response) -> None:
    """Refuse an answer that is no JSON."""
    try:
        document_of(response)
    except ValueError as error:
        raise Passing(f"{without_query(response.url)}: the answer is no JSON") from error


def _hider(connection: Connection | None, signer: Any) -> Callable[[str], str]:
    """What takes the secrets of a connection, and the token at hand, out of a text."""

    def hide(text: str) -> str:
        token = str(getattr(signer, "access_token", None) or "")
        return connection.hide(text, token) if connection else text

    return hide


def _secrets(connection: Connection | None, signer: Any) -> Callable[[], list[str]]:
    """The secrets that requests carry; services that answer with addresses put them in there."""

    def found() -> list[str]:
        token = str(getattr(signer, "access_token", None) or "")
        return [secret for secret in (connection.password if connection else "", token) if secret]

    return found


def _has(document: Any, path: str) -> bool:
    """Whether the last part of a path is there, though it may be null."""
    above, _, last = path.rpartition(".")
    holder = member(document, above) if above else document
    return isinstance(holder, dict) and last in holder
