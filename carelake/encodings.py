"""Names of encodings, as files and mails give them."""

from __future__ import annotations

import codecs

NO_ENCODINGS = {"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "mbcs"}
"""Codecs that read text, but are not what a file is written in."""


def is_encoding(name: str) -> bool:
    """Whether a file or a mail can be written in it."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    # codecs that unpack or rewrite bytes are listed beside those of texts
    return bool(found._is_text_encoding) and found.name not in NO_ENCODINGS
