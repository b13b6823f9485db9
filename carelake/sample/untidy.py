"""The same thing written in many ways: what a pipeline must bring into one form, not reject."""

from __future__ import annotations

import random
from datetime import datetime

_GENDERS = {
    "female": ["female", "Female", "F", "女", "女士"],
    "male": ["male", "Male", "M", "男", "先生"],
}
_CHANNELS = {
    "phone": ["phone", "电话", "Call"],
    "email": ["email", "邮件", "E-mail"],
    "chat": ["chat", "在线", "Chat"],
    "social": ["social", "微博", "Social Media"],
    "in_person": ["in_person", "门店", "store"],
}


def phone(rng: random.Random, e164: str) -> str:
    """Write an E.164 number as people and systems do."""
    if not e164.startswith("+86"):
        return e164
    local = e164[3:]
    if local.startswith("21"):
        return rng.choice([e164, f"021-{local[2:]}", f"(021) {local[2:6]} {local[6:]}"])
    return rng.choice(
        [
            e164,
            local,
            local,
            f"+86 {local[:3]} {local[3:7]} {local[7:]}",
            f"86-{local[:3]}-{local[3:7]}-{local[7:]}",
            f"0086 {local}",
            f"(+86){local[:3]}-{local[3:7]}-{local[7:]}",
        ]
    )


def email(rng: random.Random, address: str) -> str:
    """Write an address with the capitals and blanks forms let through."""
    return rng.choice([address, address, address, address.upper(), f" {address}", address.title()])


def gender(rng: random.Random, value: str) -> str:
    """Write a gender in English or Chinese, in full or as a letter, or leave it out."""
    return "" if rng.random() < 0.06 else rng.choice(_GENDERS[value])


def channel(rng: random.Random, value: str) -> str:
    """Write a channel in English or Chinese."""
    return rng.choice(_CHANNELS[value])


def day(rng: random.Random, moment: datetime) -> str:
    """Write a date in one of three ways."""
    return rng.choice(
        [
            moment.strftime("%Y-%m-%d"),
            f"{moment.year}/{moment.month}/{moment.day}",
            moment.strftime("%d.%m.%Y"),
        ]
    )


def amount(rng: random.Random, value: float) -> str:
    """Write an amount of money, now and then with a separator or the sign of the yuan."""
    form = rng.random()
    if form < 0.08:
        return f"{value:,.2f}"
    return f"¥{value:.2f}" if form < 0.14 else f"{value:.2f}"
