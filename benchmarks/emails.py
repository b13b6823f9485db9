"""Mails, a file each: extract and load, beside one core looping over the standard library's parser."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from benchmarks.measure import Result, against, side

LIMIT = 0.5
WORDS = [
    "order",
    "parcel",
    "refund",
    "arrived",
    "broken",
    "late",
    "thank",
    "please",
    "still",
    "waiting",
    "invoice",
    "address",
    "return",
    "blue",
    "lamp",
    "chair",
    "size",
    "number",
    "yesterday",
    "customer",
    "service",
    "delivery",
    "again",
    "never",
    "would",
    "could",
    "maybe",
]
CHINESE = "订单退款快递还没有收到谢谢请问什么时候发货质量很好不满意客服电话地址发票"


def measure(scratch: Path, mails: int, tries: int, folder: Path | None = None) -> list[Result]:
    """One row for made-up mails, one for real ones where there are; best of so many tries in turns.

    Args:
        mails: how many; real ones are taken again and again until there are so many.
        folder: a folder of real mails, `.eml` files.
    """
    made_up = scratch / "made-up"
    write_mails(made_up, mails)
    results = [_beside(scratch, made_up, f"{mails:,} made-up mails", tries)]
    if folder is not None:
        real = scratch / "real"
        found = sorted(folder.rglob("*.eml"))
        real.mkdir()
        for i in range(mails):
            (real / f"{i:06d}.eml").write_bytes(found[i % len(found)].read_bytes())
        name = f"{mails:,} real mails ({len(found):,}, each several times)"
        results.append(_beside(scratch, real, name, tries))
    return results


def _beside(scratch: Path, folder: Path, name: str, tries: int) -> Result:
    ours, peer = [], []
    for _ in range(tries):
        ours.append(side("mails_ours", scratch / "home", folder)["seconds"])
        peer.append(side("mails_peer", folder)["seconds"])
    return against(
        f"extract and load {name}, a file each", min(ours), min(peer),
        "one core, message_from_bytes with the default policy, get_body, get_content", LIMIT,
    )  # fmt: skip


def write_mails(folder: Path, count: int) -> None:
    """Mails as a support mailbox has them: plain, HTML, both, replies, attachments, Chinese."""
    folder.mkdir()
    chance = random.Random(7)
    for i in range(count):
        (folder / f"{i:06d}.eml").write_bytes(_mail(i, chance))


def _mail(i: int, chance: random.Random) -> bytes:
    mail = EmailMessage()
    mail["From"] = f"Customer {i % 900} <customer{i % 900}@example.org>"
    mail["To"] = "Care <care@shop.example>"
    mail["Subject"] = ("Re: " if i % 3 else "") + " ".join(chance.choices(WORDS, k=5))
    mail["Date"] = format_datetime(datetime(2024, 5, 1, tzinfo=UTC) + timedelta(minutes=7 * i))
    mail["Message-ID"] = f"<{i}.{chance.random()}@example.org>"
    if i % 3:
        mail["In-Reply-To"] = mail["References"] = f"<{i - 1}@shop.example>"
    for hop in range(4):
        mail["Received"] = f"from mx{hop}.example.org by mx{hop + 1}.example.org with ESMTPS id {i}"
    text = _text(i, chance)
    charset = "gb18030" if i % 10 == 0 else "utf-8"
    if i % 5 < 3:
        mail.set_content(text, charset=charset, cte="base64" if i % 10 == 0 else "quoted-printable")
    if i % 5 in (1, 2):
        mail.add_alternative(_markup(text), subtype="html")
    elif i % 5 >= 3:
        mail.set_content(_markup(text), subtype="html")
    if i % 12 == 0:
        content = chance.randbytes(60_000)
        mail.add_attachment(content, maintype="image", subtype="png", filename=f"picture-{i}.png")
    return bytes(mail)


def _text(i: int, chance: random.Random) -> str:
    words = list(CHINESE) if i % 10 == 0 else [word + " " for word in WORDS]
    lines = ["".join(chance.choices(words, k=12)) for _ in range(chance.randint(3, 25))]
    if i % 3:
        lines += ["", "On Mon, 6 May 2024 at 10:00, Care <care@shop.example> wrote:"]
        lines += ["> " + "".join(chance.choices(words, k=12)) for _ in range(chance.randint(5, 30))]
    return "\n".join([*lines, "-- ", f"Customer {i % 900}", "+49 30 901820", ""])


def _markup(text: str) -> str:
    rows = "".join(
        f'<tr><td style="font-family:Arial;font-size:14px">{line}</td></tr>\n'
        for line in text.replace("<", "&lt;").split("\n")
    )
    style = "<style>" + "p.a { margin: 0 } " * 40 + "</style>"
    return f"<html><head>{style}</head><body><table>{rows}</table></body></html>"
