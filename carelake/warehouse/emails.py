"""Mail files: every message a row, or a reject with the reason."""

from __future__ import annotations

import contextlib
import email
import email.policy
import hashlib
import html
import json
import re
from collections.abc import Iterator
from datetime import UTC
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from carelake.source_list import is_encoding
from carelake.warehouse.csv_repair import RAW_TEXT_LIMIT, UNREADABLE
from carelake.warehouse.incoming import Reject, UnreadableFile
from carelake.warehouse.lines import HEAD, Lines, ends_in_cr
from carelake.warehouse.packed import open_plain
from carelake.warehouse.schema import EMAIL_COLUMNS

SCHEMA = pa.schema([("__row", pa.int64()), *((name, pa.string()) for name in EMAIL_COLUMNS)])
AUTO_PRECEDENCE = {"bulk", "junk", "list", "auto_reply"}
MAX_MESSAGE_BYTES = 100_000_000
"""Mail servers refuse larger ones; one that never ends must not take all memory."""
MAX_DECODED = 20_000
"""Longer header lines are kept as they came: nobody writes them, and decoding takes its time."""
SPACED = {"br", "/p", "/div", "/li", "/tr"}
"""Tags that end a line."""
TAG = re.compile(r"/?[^\s>/]*")


class _Policy(email.policy.Compat32):
    """Headers as they came, except that one about a part's form has an end.

    The standard parser takes a time that grows with the square of their length.
    """

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:MAX_DECODED] if name.lower().startswith("content-") else value


POLICY = _Policy()


def read_mbox(path: Path, max_line_bytes: int = 16_000_000) -> tuple[pa.Table, list[Reject]]:
    """Parse an mbox file.

    Args:
        max_line_bytes: a message with a longer line is given up.

    Returns:
        One row per message (`__row` counts messages from 1), and the messages that are none.

    Raises:
        UnreadableFile: the file cannot be read to its end, or is no mbox.
    """
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    try:
        for ordinal, (line, raw, fault) in enumerate(_messages(path, max_line_bytes), start=1):
            try:
                if fault:
                    raise ValueError(fault)
                rows.append({"__row": ordinal, **parse_message(raw)})
            except Exception as error:  # the standard parser raises many kinds on broken mail
                text = raw[:RAW_TEXT_LIMIT].decode("utf-8", "replace")
                rejects.append(Reject(ordinal, line, f"is no readable message: {error}", text))
    except UNREADABLE as error:
        raise UnreadableFile(f"cannot be read to its end: {error}") from error
    return pa.Table.from_pylist(rows, schema=SCHEMA), rejects


def _messages(path: Path, max_line_bytes: int) -> Iterator[tuple[int, bytes, str | None]]:
    """Yield (line of its `From ` separator, bytes, why it is given up or None) per message."""
    start, parts, size = 0, list[bytes](), 0
    fault: str | None = None
    blank = True
    with open_plain(path) as file:
        swapped = ends_in_cr(file.read(HEAD))
    with open_plain(path) as file:
        lines = Lines(file, max_line_bytes, swapped=swapped)
        for number, line in lines:
            if blank and line.startswith(b"From "):
                if start:
                    yield start, b"".join(parts), fault
                start, parts, size, fault = number, [], 0, None
            elif start:
                fault = fault or _too_large(lines.overlong(line), size + len(line))
                if fault is None or not parts:
                    parts.append(line[1:] if re.match(rb">+From ", line) else line)
                    size += len(line)
            elif line.strip():
                raise UnreadableFile("does not begin with a `From ` line, so it is no mbox file")
            blank = not line.strip()
    if start:
        yield start, b"".join(parts), fault


def _too_large(overlong: str | None, size: int) -> str | None:
    if overlong:
        return f"one of its lines {overlong}"
    return f"it is larger than {MAX_MESSAGE_BYTES:,} bytes" if size > MAX_MESSAGE_BYTES else None


def parse_message(raw: bytes) -> dict[str, str | None]:
    """Fields of one RFC 5322 message, named as in `raw.email_messages`; times are ISO 8601 UTC.

    Raises:
        ValueError: it has neither sender nor body.
    """
    # compat32 keeps headers as they came and leaves decoding to us: ten times faster than the
    # default policy, and it never raises on a malformed header
    message = email.message_from_bytes(raw, policy=POLICY)
    senders = _addresses(message, "From")
    sender = senders[0] if senders else ("", "")
    body = _body(message)
    if not sender[1] and not body.strip():
        raise ValueError("it has neither sender nor text")
    recipients = _addresses(message, "To", "Cc")
    return {
        "message_id": _identifier(_header(message, "Message-ID")),
        "in_reply_to": _identifier(_header(message, "In-Reply-To")),
        "references_ids": " ".join(
            re.findall(r"<([^<>\s]+)>", _header(message, "References") or "")
        )
        or None,
        "from_address": sender[1] or None,
        "from_name": sender[0] or None,
        "to_addresses": ", ".join(address for _, address in recipients if address) or None,
        "subject": _clean(_header(message, "Subject")),
        "sent_at": _time(_header(message, "Date")),
        "body_text": _clean(body),
        "language": None,
        "is_auto_reply": "true" if _is_automatic(message) else "false",
        "attachments": _attachments(message),
    }


def _addresses(message: Message, *names: str) -> list[tuple[str, str]]:
    """Pairs (name, address) of some headers."""
    texts = [_header(message, name) or "" for name in names]
    try:
        return getaddresses(texts)
    except RecursionError:  # brackets in brackets in brackets: what looks like an address is one
        return [("", a) for t in texts for a in re.findall(r"[^\s<>()@,;:]+@[^\s<>()@,;:]+", t)]


def _header(message: Message, name: str) -> str | None:
    """A header in one line, its encoded words decoded."""
    value = message[name]
    if value is None:
        return None
    text = str(value)
    if "=?" in text and len(text) <= MAX_DECODED:
        # an encoded word that cannot be decoded is still a text
        with contextlib.suppress(HeaderParseError, ValueError):
            text = "".join(
                _decode(part, charset or "utf-8") if isinstance(part, bytes) else part
                for part, charset in decode_header(text)
            )
    return " ".join(text.split())


def _identifier(value: str | None) -> str | None:
    match = re.search(r"<([^<>\s]+)>", value or "")
    return match.group(1) if match else (value or None)


def _time(value: str | None) -> str | None:
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return value
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        if moment.year < 1000:  # programs that count years from 1900 write 102 for 2002
            moment = moment.replace(year=moment.year + 1900)
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except (OverflowError, ValueError):
        return value


def _body(message: Message) -> str:
    """The text part, else the HTML part as text; attachments are no body."""
    found: dict[str, Message] = {}
    for part in message.walk():
        kind = part.get_content_type()
        if kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment":
            found.setdefault(kind, part)
    # a message without parts counts as false, so `or` would not do
    body = found.get("text/plain", found.get("text/html"))
    if body is None:
        return ""
    text = _decode(_bytes(body), body.get_content_charset() or "utf-8")
    return _plain_text(text) if body.get_content_type() == "text/html" else text


def _bytes(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _attachments(message: Message) -> str | None:
    """JSON list of name, type, size in bytes and sha256 per attachment; None without any."""
    found = []
    for part in message.walk():
        name = part.get_filename()
        if part.is_multipart() or (name is None and part.get_content_disposition() != "attachment"):
            continue
        content = _bytes(part)
        found.append(
            {
                "name": _clean(name),
                "type": part.get_content_type(),
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )
    return json.dumps(found, ensure_ascii=False) if found else None


def _decode(raw: bytes, charset: str) -> str:
    # gb18030 reads all that is labelled with its older, smaller relatives
    charset = "gb18030" if charset.lower() in ("gb2312", "gbk", "gb18030") else charset
    try:
        return raw.decode(charset if is_encoding(charset) else "utf-8")
    except ValueError:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("latin-1")


def _plain_text(markup: str) -> str:
    text = html.unescape("".join(_without_tags(markup)))
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    # layout tables leave a screenful of empty lines between two sentences
    return re.sub(r"\n{3,}", "\n\n", text)


def _without_tags(markup: str) -> Iterator[str]:
    """The text between the tags; every character is looked at once, whatever stands there."""
    folded, at = markup.lower(), 0
    while (start := markup.find("<", at)) >= 0:
        stop = markup.find(">", start)
        if stop < 0:
            break
        yield markup[at:start]
        match = TAG.match(folded, start + 1)
        name = match[0] if match else ""
        yield "\n" if name in SPACED else " "
        at = stop + 1
        if name in ("script", "style"):
            end = folded.find(f"</{name}", at)
            close = markup.find(">", end) if end >= 0 else -1
            at = close + 1 if close >= 0 else len(markup)
    yield markup[at:]


def _clean(text: str | None) -> str | None:
    if text is None:
        return None
    # lone surrogates cannot be stored as UTF-8
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    return "\n".join(line.rstrip() for line in text.splitlines()).strip() or None


def _is_automatic(message: Message) -> bool:
    submitted = (_header(message, "Auto-Submitted") or "no").lower()
    precedence = (_header(message, "Precedence") or "").lower()
    return submitted != "no" or precedence in AUTO_PRECEDENCE
