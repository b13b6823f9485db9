"""Bodies of web services' answers: JSON, in whichever form of Unicode."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from requests import Response

PARSED = "carelake_document"
"""Where an answer keeps its document."""


def json_of(content: bytes) -> Any:
    """The document in a body.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(content, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested without end") from error


def document_of(response: Response) -> Any:
    """The document of an answer, which is read once however often it is asked for.

    Raises:
        ValueError: there is none.
    """
    if not hasattr(response, PARSED):
        setattr(response, PARSED, json_of(response.content))
    return getattr(response, PARSED)


def plain_utf8(content: bytes) -> bytes:
    """A body that is JSON, as UTF-8 without a byte order mark; else byte for byte as it came."""
    encoding = json.detect_encoding(content)
    return content if encoding == "utf-8" else content.decode(encoding).encode("utf-8")


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} stands in it")
