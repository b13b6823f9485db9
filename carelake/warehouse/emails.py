"""Mail files: every message a row, or a reject with the reason."""

from __future__ import annotations

import email
import email.policy
import hashlib
import html
import json
import re
from collections.abc import Iterator
from datetime import UTC
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from carelake.warehouse.csv_repair import RAW_TEXT_LIMIT, open_plain
from carelake.warehouse.incoming import Reject, UnreadableFile
from carelake.warehouse.schema import EMAIL_COLUMNS

SCHEMA = pa.schema([("__row", pa.int64()), *((name, pa.string()) for name in EMAIL_COLUMNS)])
AUTO_PRECEDENCE = {"bulk", "junk", "list", "auto_reply"}


def read_mbox(path: Path) -> tuple[pa.Table, list[Reject]]:
    """Parse an mbox file.

    Returns:
        One row per message (`__row` counts messages from 1), and the messages that are none.

    Raises:
        UnreadableFile: the file cannot be read to its end, or is no mbox.
    """
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    try:
        for ordinal, (line, raw) in enumerate(_messages(path), start=1):
            try:
                rows.append({"__row": ordinal, **parse_message(raw)})
            except Exception as error:  # the standard parser raises many kinds on broken mail
                text = raw[:RAW_TEXT_LIMIT].decode("utf-8", "replace")
                rejects.append(Reject(ordinal, line, f"is no readable message: {error}", text))
    except (OSError, EOFError) as error:
        raise UnreadableFile(f"cannot be read to its end: {error}") from error
    return pa.Table.from_pylist(rows, schema=SCHEMA), rejects


def _messages(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line of its `From ` separator, bytes) per message."""
    start, lines = 0, list[bytes]()
    blank = True
    with open_plain(path) as file:
        for number, line in enumerate(file, start=1):
            if blank and line.startswith(b"From "):
                if start:
                    yield start, b"".join(lines)
                start, lines = number, []
            elif start:
                lines.append(line[1:] if re.match(rb">+From ", line) else line)
            elif line.strip():
                raise UnreadableFile("does not begin with a `From ` line, so it is no mbox file")
            blank = not line.strip()
    if start:
        yield start, b"".join(lines)


def parse_message(raw: bytes) -> dict[str, str | None]:
    """Fields of one RFC 5322 message, named as in `raw.email_messages`; times are ISO 8601 UTC.

    Raises:
        ValueError: it has neither sender nor body.
    """
    # compat32 keeps headers as they came and leaves decoding to us: ten times faster than the
    # default policy, and it never raises on a malformed header
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    senders = getaddresses([_header(message, "From") or ""])
    sender = senders[0] if senders else ("", "")
    body = _body(message)
    if not sender[1] and not body:
        raise ValueError("it has neither sender nor text")
    recipients = getaddresses([_header(message, h) or "" for h in ("To", "Cc")])
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


def _header(message: Message, name: str) -> str | None:
    """A header in one line, its encoded words decoded."""
    value = message[name]
    if value is None:
        return None
    text = str(value)
    if "=?" in text:
        parts = []
        for part, charset in decode_header(text):
            parts.append(_decode(part, charset or "utf-8") if isinstance(part, bytes) else part)
        text = "".join(parts)
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
        return raw.decode(charset)
    except (LookupError, UnicodeDecodeError):
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("latin-1")


def _plain_text(markup: str) -> str:
    text = re.sub(r"(?is)<(script|style)\b.*?</\1>", " ", markup)
    text = re.sub(r"(?i)<(br|/p|/div|/li|/tr)\b[^>]*>", "\n", text)
    text = html.unescape(re.sub(r"(?s)<[^>]+>", " ", text))
    text = re.sub(r" ?\n ?", "\n", re.sub(r"[^\S\n]+", " ", text))
    # layout tables leave a screenful of empty lines between two sentences
    return re.sub(r"\n{3,}", "\n\n", text)


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
