"""How a listing's pages are turned: dlt's paginators, and some that read more of an answer."""

from __future__ import annotations

from typing import Any

from dlt.sources.helpers.rest_client import paginators
from requests import Request, Response

from carelake.source_kinds.rest import (
    CursorPages,
    LinkHeader,
    NextLink,
    NumberedPages,
    OffsetPages,
    Pages,
    RecordPages,
)
from carelake.sources.json_body import document_of
from carelake.sources.reading import member


def paginator_of(pages: Pages) -> paginators.BasePaginator:
    """A new paginator, at the first page."""
    if isinstance(pages, NextLink):
        return _LinkPaginator(pages)
    if isinstance(pages, LinkHeader):
        return paginators.HeaderLinkPaginator(pages.rel)
    if isinstance(pages, CursorPages):
        return _CursorPaginator(pages)
    if isinstance(pages, RecordPages):
        return _RecordPaginator(pages)
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
        return _NumberPaginator(
            pages.more,
            base_page=pages.first,
            total_path=None,
            page_param=param,
            page_body_path=path,
        )
    return paginators.SinglePagePaginator()


def _placed(place: str, name: str) -> tuple[str | None, str | None]:
    """A parameter's name as dlt's paginators take it: (in the query, in the body)."""
    return (name, None) if place == "query" else (None, name)


class _NumberPaginator(paginators.PageNumberPaginator):  # type: ignore[misc, unused-ignore]
    """Counts pages up to an empty one, or to one that says it is the last."""

    def __init__(self, more: str | None, **options: Any) -> None:
        super().__init__(**options)
        self._more = more

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        super().update_state(response, data)
        if self._more and not member(document_of(response), self._more):
            self._has_next_page = False


class _LinkPaginator(paginators.BaseNextUrlPaginator):  # type: ignore[misc, unused-ignore]
    """Turns pages by addresses in the body; their names may hold dots, as in `@odata.nextLink`."""

    def __init__(self, pages: NextLink) -> None:
        super().__init__()
        self._pages = pages

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        document = document_of(response)
        last, more = self._pages.last, self._pages.more
        is_last = bool(last and member(document, last)) or bool(more and not member(document, more))
        self._next_reference = None if is_last else member(document, self._pages.path)


class _CursorPaginator(paginators.JSONResponseCursorPaginator):  # type: ignore[misc, unused-ignore]
    """Turns pages by a word in the body, which may stand on the last page too."""

    def __init__(self, pages: CursorPages) -> None:
        param, path = _placed(pages.place, pages.param)
        super().__init__(pages.path, cursor_param=param, cursor_body_path=path)
        self._pages = pages

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        document = document_of(response)
        more = self._pages.more
        is_last = bool(more and not member(document, more))
        is_last |= self._pages.until_empty and not data
        self._next_reference = None if is_last else member(document, self._pages.path) or None


class _RecordPaginator(paginators.BaseReferencePaginator):  # type: ignore[misc, unused-ignore]
    """Turns pages by the id of the last record, up to a page without records."""

    def __init__(self, pages: RecordPages) -> None:
        super().__init__()
        self._pages = pages

    def init_request(self, request: Request) -> None:
        if self._pages.first is not None:
            request.params = {**(request.params or {}), self._pages.param: self._pages.first}

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        ids = [member(record, self._pages.id) for record in data or []]
        known = [ident for ident in ids if ident is not None]
        self._next_reference = known[-1] if known else None

    def update_request(self, request: Request) -> None:
        request.params = {**(request.params or {}), self._pages.param: self._next_reference}
