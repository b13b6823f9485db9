"""One mail as a row: who wrote what to whom, in reply to what, with which attachments."""

from __future__ import annotations

import contextlib
import email
import email.policy
import hashlib
import json
import re
from datetime import UTC
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

from carelake.warehouse.mail_kind import PERSON, TELLING, kind_of, list_of
from carelake.warehouse.mail_reply import take_apart
from carelake.warehouse.mail_text import charset_of_markup, clean, decode, plain_text

MAX_DECODED = 20_000
"""Longer header lines are kept as they came: nobody writes them, and decoding takes its time."""
ENVELOPE = re.compile(rb"\A(?:\xef\xbb\xbf|[\r\n])*(?:>?From [^\r\n]*\r?\n)?")
"""What may stand before a mail: a mark, blank lines, the line an mbox begins it with."""
HEADER = re.compile(rb"[!-9;-~]+:")
BOUNDARY = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
"""What follows the mark between two parts."""
READ = TELLING | {
    "from", "sender", "to", "cc", "subject", "date", "received", "message-id", "in-reply-to",
    "references",
}  # fmt: skip
"""Headers that a row is made of, besides those about the form of a part (`Content-...`)."""
DEEPEST = 20
"""Parts within parts; the standard parser takes what is deeper."""
PLAIN_ADDRESS = re.compile(
    r"\s*(?:([^\"(),:;<>\\@\[\]]*?)\s*<([^\s\"(),:;<>\\@\[\]]+@[\w.-]+)>|([^\s\"(),:;<>\\@\[\]]+@[\w.-]+))\s*"
)
"""`Anna Kern <anna@example.org>` or an address alone: nearly all there are, told in one step."""


class _Policy(email.policy.Compat32):
    """Headers as they came, which never raises, except that one about a part's form has an end.

    The standard parser takes a time that grows with the square of their length.
    """

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:MAX_DECODED] if name.lower().startswith("content-") else value


POLICY = _Policy()


def parse_message(raw: bytes, received_at: str | None = None) -> dict[str, str | None]:
    """Fields of one RFC 5322 message, named as in `raw.email_messages`; times are ISO 8601 UTC.

    Args:
        received_at: when the mail came, as far as its mailbox knows; for mails without a date.

    Raises:
        ValueError: it has neither sender nor body.
    """
    envelope = ENVELOPE.match(raw)
    message = _parsed(raw[envelope.end() :] if envelope else raw)
    headers = _headers(message)
    senders = _addresses(headers, "from") or _addresses(headers, "sender")
    sender = senders[0] if senders else ("", "")
    body = _body(message)
    if not sender[1] and not body.strip():
        raise ValueError("it has neither sender nor text")
    parts = take_apart(clean(body) or "")
    recipients = _addresses(headers, "to", "cc")
    subject = clean(headers.get("subject"))
    content_type = headers.get("content-type", "").lower()
    kind = kind_of(headers, content_type, sender[1], subject)
    return {
        "message_id": _identifier(headers.get("message-id")) or _content_id(raw),
        "in_reply_to": _identifier(headers.get("in-reply-to")),
        "references_ids": " ".join(re.findall(r"<([^<>\s]+)>", headers.get("references", "")))
        or None,
        "from_address": sender[1] or None,
        "from_name": sender[0] or None,
        "to_addresses": ", ".join(address for _, address in recipients if address) or None,
        "subject": subject,
        "sent_at": _time(headers.get("date")) or _received(headers) or received_at,
        "body_text": parts.new,
        "language": None,
        "is_auto_reply": "false" if kind == PERSON else "true",
        "attachments": _attachments(message),
        "quoted_text": parts.quoted,
        "signature_text": parts.signature,
        "mail_kind": kind,
        "list_id": list_of(headers),
    }


def _parsed(raw: bytes, depth: int = 0) -> Message:
    """A message taken apart as the standard parser does it, but not line by line.

    That one gets whatever is odd. Of the rest the same comes out three times as fast, headers that
    nobody reads left out.
    """
    end = raw.find(b"\n\n")
    crlf = raw.find(b"\n\r\n", 0, end if end >= 0 else len(raw))
    end = crlf if crlf >= 0 else end
    lines = _unfolded(raw[:end]) if end >= 0 else None
    if lines is None or depth > DEEPEST:
        return email.message_from_bytes(raw, policy=POLICY)
    message = Message(POLICY)
    for line in lines:
        name, _, value = line.decode("ascii", "surrogateescape").partition(":")
        key = name.lower()
        if _is_read(key):
            value = value.lstrip(" \t").rstrip("\r\n")
            message.set_raw(name, value[:MAX_DECODED] if key.startswith("content-") else value)
    form = message.get_content_maintype()
    body = raw[raw.index(b"\n", end + 1) + 1 :]
    if form == "multipart":
        parts = _parts(message, body)
        if not parts:
            return email.message_from_bytes(raw, policy=POLICY)
        message.set_payload([_parsed(part, depth + 1) for part in parts])
    elif form == "message":
        return email.message_from_bytes(raw, policy=POLICY)
    else:
        message.set_payload(body.decode("ascii", "surrogateescape"))
    return message


def _is_read(key: str) -> bool:
    return key in READ or key.startswith("content-")


def _unfolded(head: bytes) -> list[bytes] | None:
    """The headers, one each with its further lines; None when a line is no header."""
    found: list[bytes] = []
    for line in head.split(b"\n"):
        if line[:1] in (b" ", b"\t") and found:
            found[-1] += b"\n" + line
        elif HEADER.match(line):
            found.append(line)
        else:
            return None
    return found


def _parts(message: Message, body: bytes) -> list[bytes]:
    """The parts of a message between its boundaries; none when there is anything odd about them."""
    boundary = message.get_boundary()
    if not boundary or not boundary.isascii() or message.get_content_subtype() == "digest":
        return []
    mark = b"--" + boundary.encode()
    parts: list[bytes] = []
    start, at = -1, body.find(mark)
    while at >= 0:
        line = BOUNDARY.match(body, at + len(mark))
        if line and (at == 0 or body[at - 1 : at] == b"\n"):
            if start >= 0:
                parts.append(body[start:at].removesuffix(b"\n").removesuffix(b"\r"))
            if line[1]:
                return parts
            start = line.end()
        at = body.find(mark, at + len(mark))
    return [*parts, body[start:]] if start >= 0 else []


def _headers(message: Message) -> dict[str, str]:
    """The first header of each name, in one line, its encoded words decoded."""
    found: dict[str, str] = {}
    for name, value in message.raw_items():
        key = name.lower()
        if key not in found and _is_read(key):
            text = str(value)
            if not text.isascii():
                # raw 8-bit letters, which no standard allows: in the charset of the text, if any
                octets = text.encode("utf-8", "surrogateescape")
                text = decode(octets, _charset(message))
            found[key] = _one_line(text)
    return found


def _one_line(text: str) -> str:
    if "=?" in text and len(text) <= MAX_DECODED:
        # an encoded word that cannot be decoded is still a text
        with contextlib.suppress(HeaderParseError, ValueError):
            text = "".join(
                decode(part, charset) if isinstance(part, bytes) else part
                for part, charset in decode_header(text)
            )
    return " ".join(text.split())


def _content_id(raw: bytes) -> str:
    """An id for a mail that has none: the same mail has it wherever it comes from."""
    lines = raw.replace(b"\r\n", b"\n").strip()
    return f"sha256-{hashlib.sha256(lines).hexdigest()[:40]}@no-message-id"


def _addresses(headers: dict[str, str], *names: str) -> list[tuple[str, str]]:
    """Pairs (name, address) of some headers."""
    texts = [headers[name] for name in names if name in headers]
    plain = [PLAIN_ADDRESS.fullmatch(part) for text in texts for part in text.split(",")]
    if all(plain):
        return [(found[1] or "", found[2] or found[3]) for found in plain if found]
    try:
        return getaddresses(texts)
    except RecursionError:  # brackets in brackets in brackets: what looks like an address is one
        return [("", a) for t in texts for a in re.findall(r"[^\s<>()@,;:]+@[^\s<>()@,;:]+", t)]


def _identifier(value: str | None) -> str | None:
    match = re.search(r"<([^<>\s]+)>", value or "")
    return match.group(1) if match else (value or None)


def _received(headers: dict[str, str]) -> str | None:
    """When the last server took a mail: the time behind the last semicolon of its line."""
    found = _time(headers.get("received", "").rpartition(";")[2].strip())
    return found if found and found.endswith("Z") else None


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
    found: dict[str, str] = {}
    for part in message.walk():
        kind = part.get_content_type()
        if kind not in ("text/plain", "text/html") or kind in found:
            continue
        if part.get_content_disposition() == "attachment":
            continue
        text = _text(part, kind)
        if text.strip():
            found[kind] = text
            if kind == "text/plain":
                break
    return found.get("text/plain") or found.get("text/html") or ""


def _text(part: Message, kind: str) -> str:
    content = _bytes(part)
    charset = _charset(part)
    if kind == "text/plain":
        return decode(content, charset)
    return plain_text(decode(content, charset or charset_of_markup(content)))


def _charset(part: Message) -> str | None:
    try:
        return part.get_content_charset()
    except (LookupError, ValueError):
        return None  # the charset of the charset's name is none


def _bytes(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _attachments(message: Message) -> str | None:
    """JSON list of name, type, size in bytes and sha256 per attachment; None without any."""
    if not message.is_multipart() and "content-disposition" not in message:
        return None
    found = []
    for part in message.walk():
        if part.is_multipart():
            continue
        name = part.get_filename()
        if name is None and part.get_content_disposition() != "attachment":
            continue
        content = _bytes(part)
        found.append(
            {
                "name": clean(_one_line(name)) if name else None,
                "type": part.get_content_type(),
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )
    return json.dumps(found, ensure_ascii=False) if found else None
