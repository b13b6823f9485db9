"""Texts of strangers, made harmless where a terminal or a spreadsheet would act on them."""

from __future__ import annotations

import json
import re
from typing import Any

ACTIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What moves a cursor, colours, erases or turns text around, and halves of surrogate pairs."""
FORMULA = re.compile(r"\s*[=+\-@\t\r＝＋－＠]")
NUMBER = re.compile(r"[+-]?(\d[\d,]*\.?\d*|\.\d+)([eE][+-]?\d+)?%?")


def visible(text: str) -> str:
    """A text with its control characters written out in hex; line ends and tabs stay."""
    return ACTIVE.sub(_escaped, text)


def one_line(text: str) -> str:
    """`visible`, and line ends and tabs written out too: what must stay one line, stays one."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def safe_json(value: Any) -> str:
    """JSON for a terminal: the same value, with whatever a terminal acts on escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=1, default=str)
    return ACTIVE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def safe_cell(value: Any) -> Any:
    """A value for a spreadsheet: a text that would be taken for a formula gets an apostrophe.

    Numbers stay numbers, also as text: `-5` and `+49.5` compute nothing.
    """
    if isinstance(value, str) and FORMULA.match(value) and not _is_number(value):
        return "'" + value
    return value


def _is_number(text: str) -> bool:
    return len(text) <= 40 and NUMBER.fullmatch(text) is not None


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
