"""Mail as it comes in the wild: wrong years, and layout where text should be."""

from __future__ import annotations

import hashlib
import json

import pytest

from carelake.warehouse.emails import parse_message

MAIL = "From: Anna <anna@example.org>\nMessage-ID: <m1@example.org>\n{}\n\n{}\n"


def parsed(headers: str, body: str = "hello") -> dict[str, str | None]:
    return parse_message(MAIL.format(headers, body).encode())


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Mon, 6 May 2002 02:04:55 +0200", "2002-05-06T00:04:55.000000Z"),
        ("Sat, 2 Feb 102 17:39:51 +0800", "2002-02-02T09:39:51.000000Z"),
        ("Sat, 29 Feb 400 10:00:00 +0000", "Sat, 29 Feb 400 10:00:00 +0000"),
        ("yesterday", "yesterday"),
    ],
)
def test_times_are_utc_and_what_is_no_time_stays_as_written(date: str, expected: str) -> None:
    assert parsed(f"Date: {date}")["sent_at"] == expected


def test_html_becomes_its_text_without_the_holes_of_its_layout() -> None:
    cells = "<tr><td>&nbsp;</td></tr>\n" * 40
    body = f"<style>p {{}}</style><table>{cells}<tr><td>My <b>order</b>\n is late</td></tr></table>"
    text = parsed("Content-Type: text/html", f"<p>Hello</p>{body}<p>Anna</p>")["body_text"]
    assert text == "Hello\n\nMy order\nis late\n\nAnna"


def test_attachments_are_told_by_name_type_size_and_hash_and_are_no_text() -> None:
    from email.message import EmailMessage

    message = EmailMessage()
    message["From"] = "a@b.example"
    message.set_content("see the picture")
    message.add_attachment(b"12345", maintype="image", subtype="png", filename="发票.png")
    fields = parse_message(bytes(message))
    assert fields["body_text"] == "see the picture"
    (told,) = json.loads(fields["attachments"] or "[]")
    assert (told["name"], told["type"], told["bytes"]) == ("发票.png", "image/png", 5)
    assert told["sha256"] == hashlib.sha256(b"12345").hexdigest()
    message = EmailMessage()
    message["From"] = "a@b.example"
    message.set_content("nothing with it")
    assert parse_message(bytes(message))["attachments"] is None
