"""Customers that may be one person are proposed, with reasons, and nobody else is."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pytest

from carelake.warehouse.proposals import weighed

SCHEMA = pa.schema(
    [
        ("unique_id", pa.string()), ("name", pa.string()), ("initial", pa.string()), ("city", pa.string()),
        ("age", pa.int32()), ("mail_names", pa.list_(pa.string())), ("numbers", pa.list_(pa.string())),
        ("number_heads", pa.list_(pa.string())),
    ]
)  # fmt: skip
SYLLABLES = (
    "an",
    "bo",
    "chen",
    "dan",
    "fei",
    "gu",
    "hao",
    "jing",
    "lei",
    "mei",
    "ning",
    "ping",
    "qi",
    "rui",
)
CITIES = ("上海", "北京", "广州", "成都", "berlin", "leeds")
FAMILIES, GIVEN = "王李张刘陈杨黄赵吴周徐孙马朱胡", "伟芳娜敏静强磊军洋勇艳杰娟涛明超秀霞平刚"


def person(chance: random.Random, number: int) -> dict[str, Any]:
    """A customer like no other, but for names that many have."""
    name = chance.choice(FAMILIES) + chance.choice(GIVEN) + chance.choice(GIVEN)
    mail = "".join(chance.choice(SYLLABLES) for _ in range(3)) + str(chance.randrange(100))
    return row(f"c{number:04d}", name, chance.choice(CITIES), chance.randint(18, 80), mail, f"1{chance.randrange(10**8):08d}")  # fmt: skip


def row(
    key: str,
    name: str | None,
    city: str | None,
    age: int | None,
    mail: str | None,
    number: str | None,
) -> dict[str, Any]:
    """A customer as the model sees it."""
    return {
        "unique_id": key, "name": name, "initial": name[:1] if name else None, "city": city, "age": age,
        "mail_names": [mail] if mail else None, "numbers": [number] if number else None,
        "number_heads": [number[:8]] if number else None,
    }  # fmt: skip


def doubled(original: dict[str, Any], key: str, how: str) -> dict[str, Any]:
    """The same person, entered a second time."""
    mail, number = original["mail_names"][0], original["numbers"][0]
    other = {
        "moved to another provider": (mail, None),
        "a digit wrong": (None, number[:-1] + str((int(number[-1]) + 1) % 10)),
        "a letter left out": (mail[:4] + mail[5:], None),
    }[how]
    return row(key, original["name"], original["city"], original["age"], *other)


HOW = ("moved to another provider", "a digit wrong", "a letter left out")


@pytest.fixture(scope="module")
def pairs() -> list[dict[str, Any]]:
    """What is proposed among six hundred customers, thirty of whom were entered twice."""
    chance = random.Random(3)
    people = [person(chance, number) for number in range(600)]
    people += [doubled(people[n], f"d{n:04d}", HOW[n % 3]) for n in range(30)]
    return weighed(pa.Table.from_pylist(people, SCHEMA), 0.9, 100)


def is_planted(pair: dict[str, Any]) -> bool:
    left, right = sorted((pair["unique_id_l"], pair["unique_id_r"]))
    return bool(left[0] == "c" and right == f"d{left[1:]}")


def test_nearly_all_who_were_entered_twice_are_proposed_and_nearly_nobody_else(
    pairs: list[dict[str, Any]],
) -> None:
    found = sum(is_planted(pair) for pair in pairs)
    assert found >= 27, "of 30"
    assert len(pairs) - found <= 2, "strangers"


def test_two_of_the_same_name_in_the_same_city_are_not_enough() -> None:
    chance = random.Random(5)
    people = [person(chance, number) for number in range(300)]
    people += [row("n1", "王伟", "上海", 30, None, None), row("n2", "王伟", "上海", 61, None, None)]
    people += [row(f"w{n}", "王伟", chance.choice(CITIES), 20 + n, None, None) for n in range(20)]
    found = weighed(pa.Table.from_pylist(people, SCHEMA), 0.9, 100)
    assert {("n1", "n2")} & {(p["unique_id_l"], p["unique_id_r"]) for p in found} == set()


def test_the_same_customers_give_the_same_proposals(pairs: list[dict[str, Any]]) -> None:
    chance = random.Random(3)
    people = [person(chance, number) for number in range(600)]
    people += [doubled(people[n], f"d{n:04d}", HOW[n % 3]) for n in range(30)]
    again = weighed(pa.Table.from_pylist(people, SCHEMA), 0.9, 100)
    told = [(p["unique_id_l"], p["unique_id_r"], round(p["match_probability"], 9)) for p in again]
    assert told == [
        (p["unique_id_l"], p["unique_id_r"], round(p["match_probability"], 9)) for p in pairs
    ]
