"""What a made-up system is asked and answers, apart from any server."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        base: address of the server, for links that begin with it.
        query: parameters of the address; the last of each name.
        headers: by lower-case name.
        form: parameters of a form that was sent.
        body: the JSON that was sent, None without.
    """

    method: str
    path: str
    base: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    body: Any
    status: int = 200


def mark(*place: str | int) -> str:
    """Write a place in a listing as a word that only its system understands."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def place_of(word: str) -> list[Any] | None:
    """Read such a word; None when it is none of ours."""
    try:
        found = json.loads(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)))
    except (ValueError, binascii.Error):
        return None
    return found if isinstance(found, list) else None
