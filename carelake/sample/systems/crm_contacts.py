"""The CRM's contacts: full exports as pages of JSON; the newest export counts."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from carelake.sample import dirt, untidy
from carelake.sample.calendar import at, iso_offset
from carelake.sample.chance import stream
from carelake.sample.company import Company
from carelake.sample.delivery import Delivery, Identifier, Record, as_json_page
from carelake.sample.people import SWITCHBOARD, Person

PAGE, VANISHED = 200, 2

SOURCE = """\
  - name: crm_contacts
    kind: files
    path: inbox/crm/contacts-*.json
    format: json
    records_path: result.records
    mode: snapshot
    entity: customers
    columns:
      customer_id: id
      customer_name: full_name
      email: email
      phone: phone
      age: age
      gender: sex
      city: city
      country: country
      language: lang
      created_at: created_on
      preferred_channel: prefers
      do_not_contact: opt_out
      agent: owner
      updated_at: modified
    timestamps: ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y"]
    timezone: Asia/Shanghai
    region: CN
    owner: crm-team
    schedule: "@daily"
    tags: [crm]
"""


def deliver(company: Company, delivery: Delivery) -> None:
    """Write two full exports in pages; the later one has lost two contacts and got dirty."""
    everybody = [person for person in company.people if person.crm_id]
    rng = stream(company.seed, "dirt", "contacts")
    own = [person for person in everybody if not person.uses_switchboard]
    gone = rng.sample(own, min(VANISHED, len(own) // 2))
    earlier_end = at(company.days - min(30, company.days // 2))
    earlier = [_earlier(company, person, earlier_end) for person in everybody]
    later = dirt.repeat(rng, [_contact(company, p) for p in everybody if p not in gone], 0.01)
    later = dirt.plant(
        later,
        [
            dirt.no_key("id", "customer_id"),
            dirt.field("id", "age", 999, "age 999 is impossible"),
            dirt.no_key("id", "customer_id"),
        ],
    )
    _write(delivery, earlier_end, earlier)
    _write(delivery, company.end, later)


def _write(delivery: Delivery, moment: datetime, records: list[Record]) -> None:
    pages = [records[place : place + PAGE] for place in range(0, len(records), PAGE)]
    for number, page in enumerate(pages, start=1):
        path = f"inbox/crm/contacts-{moment:%Y%m%d}-page-{number}.json"
        encode = as_json_page(_envelope(len(records)))
        delivery.write("crm_contacts", path, page, encode, snapshot=f"{moment:%Y%m%d}")


def _envelope(total: int) -> Callable[[list[Any]], Any]:
    return lambda rows: {"status": "ok", "result": {"total": total, "records": rows}}


def _earlier(company: Company, person: Person, moment: datetime) -> Record:
    """Return a contact as it was at an earlier moment: with another level if changed since."""
    record = _contact(company, person)
    if record.version <= iso_offset(moment):
        return record
    before = iso_offset(at(-1.0))
    return replace(
        record,
        version=before,
        values={**record.values, "level": "new", "modified": before},
    )


def _contact(company: Company, person: Person) -> Record:
    rng = stream(company.seed, "contacts", person.number)
    assert person.crm_id is not None
    email = _known(rng, person.emails[:1], 0.93 if not person.uses_family_mailbox else 1.0)
    number = person.phones[:1]
    if person.uses_switchboard and rng.random() < 0.75:
        number = [SWITCHBOARD]
    phone = _known(rng, number, 0.93)
    who: list[Identifier] = [("crm", person.crm_id)]
    who += [("email", email)] if email else []
    who += [("phone", phone)] if phone else []
    modified = at(rng.uniform(0, company.days))
    return Record(
        key=person.crm_id,
        version=iso_offset(modified),
        who=tuple(who),
        values={
            "id": person.crm_id,
            "full_name": person.name,
            "email": untidy.email(rng, email) if email else None,
            "phone": untidy.phone(rng, phone) if phone else None,
            "age": person.age if rng.random() < 0.88 else None,
            "sex": untidy.gender(rng, person.gender) or None,
            "city": person.city if rng.random() < 0.92 else "",
            "country": person.country,
            "lang": {"zh": "zh-CN", "en": "en"}[person.language],
            "created_on": untidy.day(rng, at(-rng.uniform(1, 900))),
            "prefers": untidy.channel(rng, person.preferred_channel),
            "opt_out": rng.choice(["是", True])
            if person.do_not_contact
            else rng.choice(["否", False]),
            "owner": person.owner.agent_id if person.owner else None,
            "modified": iso_offset(modified),
            "level": rng.choice(["A", "B", "C"]),
        },
    )


def _known(rng: random.Random, values: list[str], share: float) -> str:
    return values[0] if values and rng.random() < share else ""
