"""A source of kind `rest`, and what it landed, for the tests of that kind."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

from carelake.landing import manifests
from carelake.source import Source
from carelake.sources.batches import ExtractResult
from carelake.sources.rest import extract as extract_rest
from carelake.window import Window
from tests.carelake.sources.faulty_api import Listing

PAGES: dict[str, dict[str, Any]] = {
    "next_link": {"by": "next_link"},
    "link_header": {"by": "link_header"},
    "cursor": {"by": "cursor", "path": "next_cursor"},
    "offset": {"by": "offset", "limit": 5, "total": "total"},
    "page_number": {"by": "page_number", "total": "total"},
}


def a_source(url: str, style: str = "next_link", **more: Any) -> Source:
    rest = {
        "url": url,
        "endpoint": "items",
        "pages": PAGES[style],
        "timeout_seconds": 0.3,
        "incremental": {"field": "updated_at", "since_param": "since", "look_back": "5m"},
        **more.pop("rest", {}),
    }
    return Source.model_validate(
        {
            "name": "tickets",
            "kind": "rest",
            "entity": "communications",
            "records_path": "data.items",
            "columns": {
                "communication_id": "id", "body": "text", "email": "who.email",
                "sent_at": "updated_at", "updated_at": "updated_at",
            },
            "rest": rest,
            **more,
        }
    )  # fmt: skip


def extract(
    source: Source,
    landing: Path,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> ExtractResult:
    window = Window(since, until)
    return extract_rest(source, landing, landing, window, sleep=lambda seconds: None)


def landed(landing: Path) -> list[dict[str, Any]]:
    """Every record of every landed page, in order."""
    found: list[dict[str, Any]] = []
    decoder = json.JSONDecoder()
    for manifest in manifests(landing):
        assert not manifest.damage(landing)
        for file in manifest.files:
            text = (manifest.folder(landing) / file.landed).read_text(encoding="utf-8").strip()
            while text:
                page, end = decoder.raw_decode(text)
                text = text[end:].lstrip()
                found += page["data"]["items"]
    return found


def newest(records: list[dict[str, Any]]) -> dict[int, int]:
    """Version per id: what counts after a load."""
    held: dict[int, int] = {}
    for record in records:
        held[record["id"]] = max(record["version"], held.get(record["id"], 0))
    return held


def wanted(listing: Listing) -> dict[int, int]:
    return {number: record["version"] for number, record in listing.records.items()}
