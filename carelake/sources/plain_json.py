"""Documents of MongoDB as JSON that other programs read: no `$date`, no `$oid`."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from typing import Any

from bson.dbref import DBRef
from bson.timestamp import Timestamp


def line_of(document: dict[str, Any]) -> str:
    """A document as one line.

    Dates become ISO 8601 in UTC, ObjectIds hex, decimals and UUIDs text, bytes base64; a number
    that is none becomes text.
    """
    try:
        return json.dumps(document, ensure_ascii=False, default=_plain, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(document), ensure_ascii=False, default=_plain)


def iso(moment: dt.datetime) -> str:
    """A time with milliseconds, which is what BSON keeps: texts of equal length, ordered as times."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return iso(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Timestamp):
        return iso(value.as_datetime())
    if isinstance(value, DBRef):
        return dict(value.as_doc())
    # ObjectId, Decimal128, UUID, Code; a date beyond Python's years is a number of milliseconds
    return getattr(value, "pattern", None) or str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_finite(member) for member in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
