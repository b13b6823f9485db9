"""People appear under many identifiers, and the evidence that joins them is there."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

import phonenumbers

from carelake.sample.people import OWN_DOMAIN, OWN_HANDLE, OWN_PHONE, SWITCHBOARD

if TYPE_CHECKING:
    from conftest import Written


def e164(number: str) -> str:
    parsed = phonenumbers.parse(number, "CN")
    assert phonenumbers.is_valid_number(parsed), number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def test_joining_by_evidence_never_mixes_two_people(sample: Written) -> None:
    points = sample.truth("contact_points")
    people: dict[str, set[str]] = defaultdict(set)
    kinds: dict[str, set[str]] = defaultdict(set)
    for point in points:
        if not point["is_shared"]:
            assert len(point["persons"]) == 1, point
            people[point["component"]] |= set(point["persons"])
            kinds[point["component"]].add(point["kind"])
    assert all(len(owners) == 1 for owners in people.values())
    assert sum(len(found) >= 3 for found in kinds.values()) > 100


def test_only_the_switchboard_and_the_family_mailbox_are_shared(
    sample: Written,
) -> None:
    shared = [point for point in sample.truth("contact_points") if point["is_shared"]]
    assert {point["kind"] for point in shared} == {"phone", "email"}
    values = {point["kind"]: point for point in shared}
    assert len(shared) == 2
    assert values["phone"]["value"] == SWITCHBOARD
    assert len(values["phone"]["persons"]) >= 3
    assert len(values["email"]["persons"]) == 2


def test_some_people_have_no_crm_record_and_some_fall_into_pieces(
    sample: Written,
) -> None:
    components: dict[str, set[str]] = defaultdict(set)
    for point in sample.truth("contact_points"):
        for person in point["persons"] if not point["is_shared"] else []:
            components[person].add(point["component"])
    customers = sample.truth("customers")
    without_crm = [c for c in customers if all(kind != "crm" for kind, _ in c["identifiers"])]
    assert 0.08 < len(without_crm) / len(customers) < 0.25
    assert 0 < sum(len(found) > 1 for found in components.values()) < len(customers) / 2


def test_the_numbers_people_write_come_back_to_one_form(sample: Written) -> None:
    known = {
        value
        for customer in sample.truth("customers")
        for kind, value in customer["identifiers"]
        if kind == "phone"
    }
    assert all(e164(value) == value for value in known)
    written = set()
    for path in (sample.folder / "inbox/crm").glob("contacts-*.json"):
        records = json.loads(path.read_text("utf-8"))["result"]["records"]
        written |= {contact["phone"] for contact in records if contact["phone"]}
    assert {e164(number) for number in written} <= known
    assert len({number[:2] for number in written if number}) >= 4


def test_the_company_itself_is_nobodys_contact_point(sample: Written) -> None:
    values = {point["value"] for point in sample.truth("contact_points")}
    assert not values & {OWN_HANDLE, OWN_PHONE}
    assert not any(value.endswith(OWN_DOMAIN) for value in values)


def test_segments_buy_as_their_names_say(sample: Written) -> None:
    values: dict[str, list[float]] = defaultdict(list)
    for customer in sample.truth("customers"):
        values[customer["segment"]].append(customer["order_value"])
    mean = {segment: sum(amounts) / len(amounts) for segment, amounts in values.items()}
    assert mean["champions"] > 3 * mean["loyal"] > 6 * mean["one_time"] > mean["contact_only"] == 0
    assert len(mean) == 7
