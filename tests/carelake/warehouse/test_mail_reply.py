"""What is new in a mail: known answers, as mail programs write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelake.warehouse.mail_reply import take_apart
from carelake.warehouse.mail_text import plain_text

WROTE = "On Mon, 6 May 2024 at 10:00, Shop <care@shop.example>"


@pytest.mark.parametrize(
    ("text", "new", "quoted", "signature"),
    [
        (f"Works!\n\nBest regards,\nAnna\n\n{WROTE}\nwrote:\n\n> Did it?\n> Li", "Works!\n\nBest regards,\nAnna", f"{WROTE}\nwrote:\n> Did it?\n> Li", None),
        (f"{WROTE} wrote:\n> When?\n\nTomorrow.\n\n> Where?\nHome.\n--\nAnna\n+49 30", "Tomorrow.\n\nHome.", f"{WROTE} wrote:\n> When?\n> Where?", "--\nAnna\n+49 30"),
        ("好的\n\n在 2024年5月6日，客服 <care@shop.example> 写道：\n\n收到吗？", "好的", "在 2024年5月6日，客服 <care@shop.example> 写道：\n\n收到吗？", None),
        ("yes\n\n____________________\nFrom: Shop\nSent: Monday\nTo: Anna\nSubject: x\n\nold", "yes", "____________________\nFrom: Shop\nSent: Monday\nTo: Anna\nSubject: x\n\nold", None),
        ("ja\n\nAm 06.05.2024 um 10:00 schrieb Shop:\n> alt", "ja", "Am 06.05.2024 um 10:00 schrieb Shop:\n> alt", None),
        ("ok\nSent from my iPhone\n\n-----Original Message-----\nFrom: x", "ok", "-----Original Message-----\nFrom: x", "Sent from my iPhone"),
        ("From: my point of view it is bad.\nReally.", "From: my point of view it is bad.\nReally.", None, None),
        ("On 3 May your agent wrote:\nit will come\nIt did not", "On 3 May your agent wrote:\nit will come\nIt did not", None, None),
        ("> only a quote", "> only a quote", None, None),
        ("--\nAnna", "--\nAnna", None, None),
    ],
)  # fmt: skip
def test_new_text_quotation_and_signature_are_told_apart(
    text: str, new: str, quoted: str | None, signature: str | None
) -> None:
    parts = take_apart(text)
    assert (parts.new, parts.quoted, parts.signature) == (new, quoted, signature)


LINES = st.sampled_from(
    ["> q", "", "--", "text", f"{WROTE} wrote:", "From: a", "To: b", "Subject: c", "Sent from my x",
     "-----Original Message-----", "__________", "x:", "在 2024年5月6日 10:00 写道："]
)  # fmt: skip


@given(st.lists(LINES, max_size=12))
def test_every_line_goes_to_exactly_one_part(lines: list[str]) -> None:
    parts = take_apart("\n".join(lines))
    found = "\n".join(p for p in (parts.new, parts.quoted, parts.signature) if p)
    assert sorted(filter(None, found.split("\n"))) == sorted(filter(None, lines))
    assert parts.new is not None or not any(lines)


def test_a_quotation_in_html_is_told_like_one_in_plain_text() -> None:
    gmail = (
        '<div dir="ltr">New &amp; <b>good</b>bye<br></div><div class="gmail_quote"><div>On Mon, May 6, 2024 at '
        '10:00 AM Shop &lt;c@s.e&gt; wrote:<br></div><blockquote class="gmail_quote"><p>old</p>text</blockquote></div>'
    )
    parts = take_apart(plain_text(gmail).strip())
    assert parts.new == "New & goodbye"
    assert parts.quoted is not None and "> old" in parts.quoted and "> text" in parts.quoted


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<!--[if mso]><p>no</p><![endif]--><title>no</title><p>Hi", "Hi"),
        ('<img alt="a > b"><p>1 < 2</p>', "1 < 2"),
        ("<blockquote>an indented offer</blockquote>", "an indented offer"),
        ("<!-- never ends <p>text", "text"),
    ],
)
def test_html_is_what_a_reader_sees(markup: str, text: str) -> None:
    assert plain_text(markup).strip().endswith(text)
