"""The support mailbox: threads as an mbox, in the charsets and shapes mail really has."""

from __future__ import annotations

import base64
import quopri
import random
from datetime import datetime
from email.header import Header
from html import escape

from carelake.sample import dirt
from carelake.sample.calendar import MONTHS, WEEKDAYS, after, mailed
from carelake.sample.chance import stream
from carelake.sample.company import Company, message_id
from carelake.sample.delivery import Delivery, Record
from carelake.sample.people import OWN_MAILBOX
from carelake.sample.texts import Spoken

SOURCE = """\
  - name: support_mailbox
    kind: mbox
    path: inbox/mail/support.mbox
    channel: email
    timezone: Asia/Shanghai
    region: CN
    owner: mail-team
    schedule: "*/15 * * * *"
    tags: [email]
"""

_CHARSETS = {
    "zh": [("utf-8", "base64"), ("gb18030", "base64"), ("gb2312", "quoted-printable"),
           ("gb18030", "8bit"), ("utf-8", "8bit"), ("utf-8", "quoted-printable")],
    "en": [("us-ascii", "7bit"), ("utf-8", "quoted-printable"), ("iso-8859-1", "7bit")],
}  # fmt: skip
_PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n made-up picture").decode()


def deliver(company: Company, delivery: Delivery) -> None:
    """Write all mails in the order they arrived."""
    dated: list[tuple[datetime, Record]] = []
    for spoken in company.on("email"):
        dated.extend(_thread(company, spoken))
    dated = [row for row in dated if row[0] <= company.end]
    dated.sort(key=lambda row: (row[0], row[1].key))
    records = [record for _, record in dated]
    records = dirt.repeat(stream(company.seed, "dirt", "mail"), records, 0.01)
    records = dirt.plant(records, [_impossible_date])
    delivery.write("support_mailbox", "inbox/mail/support.mbox", records, _as_mbox)


def _as_mbox(records: tuple[Record, ...]) -> bytes:
    return b"".join(record.raw or b"" for record in records)


def _impossible_date(record: Record) -> Record:
    assert record.raw is not None
    lines = record.raw.split(b"\n")
    for place, line in enumerate(lines):
        if line.startswith(b"Date: "):
            lines[place] = b"Date: Sat, 31 Feb 2024 10:00:00 +0800"
        if line.startswith(b"Message-ID: "):
            lines[place] = line.replace(b"<", b"<bad-")
    return Record(
        values=record.values, key=f"bad-{record.key}", raw=b"\n".join(lines),
        broken="sent_at is not a time", stage="staging",
    )  # fmt: skip


def _thread(company: Company, spoken: Spoken) -> list[tuple[datetime, Record]]:
    """Return the mails of one conversation, with acknowledgements and absence notes."""
    talk, person = spoken.talk, spoken.talk.person
    rng = stream(company.seed, "mail", talk.number)
    customer = rng.choice(person.emails)
    mails: list[tuple[datetime, Record]] = []
    for place, turn in enumerate(talk.turns):
        headers = {
            "From": _named(person.name, customer) if turn.inbound
            else _named(talk.agent.name, talk.agent.email),
            "To": OWN_MAILBOX if turn.inbound else customer,
            "Subject": _subject(spoken, place, turn.inbound),
            "Date": mailed(turn.sent_at),
            "Message-ID": f"<{message_id(talk, place)}>",
        }  # fmt: skip
        if place:
            headers["In-Reply-To"] = f"<{message_id(talk, place - 1)}>"
            if rng.random() < 0.85:
                earlier = [f"<{message_id(talk, number)}>" for number in range(place)]
                headers["References"] = "\n ".join(earlier)
        text = spoken.lines[place] + "\n"
        text += f"\n--\n{person.name if turn.inbound else talk.agent.name}\n"
        if place and turn.inbound and rng.random() < 0.3:
            text += "\n" + "\n".join(f"> {line}" for line in spoken.lines[place - 1].split("\n"))
            text += "\n"
        raw = _mail(rng, headers, text, person.language, customer if turn.inbound else OWN_MAILBOX,
                    turn.sent_at)  # fmt: skip
        record = Record(
            values={"inbound": turn.inbound}, key=message_id(talk, place), raw=raw,
            who=(("email", customer),),
        )  # fmt: skip
        mails.append((turn.sent_at, record))
    mails.extend(_automatic(rng, spoken, customer))
    return mails


def _automatic(rng: random.Random, spoken: Spoken, customer: str) -> list[tuple[datetime, Record]]:
    """Return what machines add: our acknowledgement, the customer's note of absence."""
    talk = spoken.talk
    mails = []
    if rng.random() < 0.12:
        mails.append((talk.turns[0].sent_at, OWN_MAILBOX, customer, 0, "ack",
                      "We have received your message. 我们已收到您的来信。"))  # fmt: skip
    answers = [place for place, turn in enumerate(talk.turns) if not turn.inbound]
    if answers and rng.random() < 0.03:
        mails.append((talk.turns[answers[0]].sent_at, customer, OWN_MAILBOX, answers[0], "away",
                      "I am out of the office. 我正在休假。"))  # fmt: skip
    result = []
    for moment, sender, receiver, place, kind, text in mails:
        sent_at = after(moment, 0.5)
        key = f"{kind}.{message_id(talk, place)}"
        headers = {
            "From": sender,
            "To": receiver,
            "Subject": _encoded(
                ("Auto: " if kind == "ack" else "Out of office: ") + spoken.subject
            ),
            "Date": mailed(sent_at),
            "Message-ID": f"<{key}>",
            "In-Reply-To": f"<{message_id(talk, place)}>",
            "Auto-Submitted": "auto-replied",
        }
        raw = _mail(rng, headers, text + "\n", "zh", sender, sent_at, plain=True)
        record = Record(
            values={"inbound": kind == "away"},
            key=key,
            raw=raw,
            who=(("email", customer),),
        )
        result.append((sent_at, record))
    return result


def _mail(
    rng: random.Random, headers: dict[str, str], text: str, language: str, envelope: str,
    sent_at: datetime, plain: bool = False,
) -> bytes:  # fmt: skip
    """Return one message of an mbox, its lines escaped as the format asks."""
    charset, coding = ("utf-8", "base64") if plain else rng.choice(_CHARSETS[language])
    shape = 0.9 if plain else rng.random()
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        charset, coding = "utf-8", "base64"
    if shape < 0.10:
        lines, body = _part("text/html", _html(text), charset, coding)
    elif shape < 0.22:
        lines, body = _multipart(headers["Message-ID"], text, charset, coding, shape < 0.14)
    else:
        lines, body = _part("text/plain", text, charset, coding)
    head = "\n".join(
        [*(f"{name}: {value}" for name, value in headers.items()), "MIME-Version: 1.0"]
    )
    content = head.encode() + b"\n" + lines.encode() + b"\n\n" + body
    escaped = b"\n".join(
        b">" + line if line.startswith(b"From ") else line for line in content.split(b"\n")
    )
    day, month = WEEKDAYS[sent_at.weekday()], MONTHS[sent_at.month - 1]
    start = f"From {envelope} {day} {month} {sent_at.day:2d} {sent_at:%H:%M:%S} {sent_at.year}\n"
    return start.encode() + escaped.rstrip(b"\n") + b"\n\n"


def _part(kind: str, text: str, charset: str, coding: str) -> tuple[str, bytes]:
    data = text.encode(charset)
    if coding == "base64":
        data = base64.encodebytes(data)
    elif coding == "quoted-printable":
        data = quopri.encodestring(data)
    lines = f'Content-Type: {kind}; charset="{charset}"\nContent-Transfer-Encoding: {coding}'
    return lines, data


def _multipart(key: str, text: str, charset: str, coding: str, picture: bool) -> tuple[str, bytes]:
    """Return text beside HTML, or text with a picture attached."""
    boundary = f"=_{key.strip('<>').split('@')[0]}"
    kind = "mixed" if picture else "alternative"
    parts = [_part("text/plain", text, charset, coding)]
    if picture:
        head = (
            'Content-Type: image/png; name="photo.png"\nContent-Transfer-Encoding: base64\n'
            'Content-Disposition: attachment; filename="photo.png"'
        )
        parts.append((head, f"{_PIXEL}\n".encode()))
    else:
        parts.append(_part("text/html", _html(text), charset, coding))
    body = b"".join(
        f"--{boundary}\n{lines}\n\n".encode() + data.rstrip(b"\n") + b"\n" for lines, data in parts
    )
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"', (
        body + f"--{boundary}--\n".encode()
    )


def _html(text: str) -> str:
    paragraphs = "".join(f"<p>{escape(line)}</p>\n" for line in text.split("\n") if line)
    return f"<html><head><style>p {{margin:0}}</style></head><body>{paragraphs}</body></html>\n"


def _subject(spoken: Spoken, place: int, inbound: bool) -> str:
    prefix = ""
    if place:
        prefix = "回复：" if inbound and spoken.talk.person.language == "zh" else "Re: "
    return _encoded(prefix + spoken.subject)


def _named(name: str, address: str) -> str:
    return f"{_encoded(name)} <{address}>"


def _encoded(text: str) -> str:
    """Return header text, as encoded words when it is not ASCII."""
    return text if text.isascii() else Header(text, "utf-8", maxlinelen=70).encode()
