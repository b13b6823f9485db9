"""The CRM's contacts: a full export as one JSON document, newest file counts."""

from __future__ import annotations

import random

from carelake.sample import dirt, untidy
from carelake.sample.calendar import after, at, iso_offset
from carelake.sample.chance import stream
from carelake.sample.company import Company
from carelake.sample.delivery import Delivery, Identifier, Record, as_json_page
from carelake.sample.people import SWITCHBOARD, Person

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
    """Write the export of all contacts."""
    records = [_contact(company, person) for person in company.people if person.crm_id]
    records = dirt.repeat(stream(company.seed, "dirt", "contacts"), records, 0.01)
    records = dirt.plant(
        records,
        [
            dirt.no_key("id", "customer_id"),
            dirt.field("id", "age", 999, "age 999 is impossible"),
            dirt.no_key("id", "customer_id"),
        ],
    )
    page = as_json_page(
        lambda rows: {"status": "ok", "result": {"total": len(rows), "records": rows}}
    )
    delivery.write(
        "crm_contacts", f"inbox/crm/contacts-{company.end:%Y%m%d}.json", records, page
    )


def _contact(company: Company, person: Person) -> Record:
    rng = stream(company.seed, "contacts", person.number)
    assert person.crm_id is not None
    email = _known(
        rng, person.emails[:1], 0.93 if not person.uses_family_mailbox else 1.0
    )
    number = person.phones[:1]
    if person.uses_switchboard and rng.random() < 0.75:
        number = [SWITCHBOARD]
    phone = _known(rng, number, 0.93)
    who: list[Identifier] = [("crm", person.crm_id)]
    who += [("email", email)] if email else []
    who += [("phone", phone)] if phone else []
    modified = after(at(rng.uniform(0, company.days)), 0)
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
