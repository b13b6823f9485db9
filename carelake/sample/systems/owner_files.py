"""The two files the platform began with: contents with a score, and who the customers are."""

from __future__ import annotations

from dataclasses import replace

from carelake.sample import dirt, untidy
from carelake.sample.chance import stream
from carelake.sample.company import Company
from carelake.sample.conversations import make_conversations
from carelake.sample.delivery import Delivery, Record, as_csv, as_json_page
from carelake.sample.texts import speak

SOURCE = """\
  - name: owner_records
    kind: files
    path: inbox/owner/customer_communication_records.csv
    format: csv
    entity: communications
    columns: {channel: channel, body: communication_content, survey_score: customer_satisfaction}
    constants: {survey_kind: csat, direction: inbound}

  - name: owner_customers
    kind: files
    path: inbox/owner/customer_data.json
    format: json
    entity: customers
    columns: {customer_id: id, age: age, gender: gender, city: city}
"""


def deliver(company: Company, delivery: Delivery) -> None:
    """Write both files; the records are of an earlier time and carry neither id nor date."""
    _records(company, delivery)
    _customers(company, delivery)


def _records(company: Company, delivery: Delivery) -> None:
    old_seed = company.seed + 100_003
    talks = make_conversations(old_seed, company.people, company.agents, [], min(company.days, 20))
    records = []
    for talk in talks:
        rng = stream(company.seed, "owner records", talk.number)
        if talk.channel == "in_person":
            continue
        words = speak(old_seed, talk)
        said = [line for line, turn in zip(words.lines, talk.turns, strict=True) if turn.inbound]
        content = " ".join(said[:2])
        if not talk.survey or not content:
            continue
        channel = rng.choice({"social": ["social media", "social"]}.get(talk.channel) or
                             [talk.channel])  # fmt: skip
        score = talk.survey.score if rng.random() < 0.97 else ""
        records.append(
            Record(
                values={
                    "channel": channel,
                    "communication_content": content,
                    "customer_satisfaction": score,
                }
            )
        )
    spoiled = dirt.plant(records, [_impossible_score, dirt.line("too many fields")])
    path = "inbox/owner/customer_communication_records.csv"
    delivery.write("owner_records", path, spoiled, as_csv())


def _impossible_score(record: Record) -> Record:
    values = {**record.values, "customer_satisfaction": 12}
    return replace(record, values=values, broken="survey_score 12 is impossible", stage="staging")


def _customers(company: Company, delivery: Delivery) -> None:
    records = []
    for person in company.people:
        rng = stream(company.seed, "owner customers", person.number)
        if not person.crm_id or rng.random() > 0.75:
            continue
        records.append(
            Record(
                key=person.crm_id,
                who=(("crm", person.crm_id),),
                values={
                    "id": int(person.crm_id),
                    "age": person.age if rng.random() < 0.95 else None,
                    "gender": untidy.gender(rng, person.gender) or None,
                    "city": person.city,
                },
            )
        )
    records = dirt.plant(
        records,
        [
            dirt.field("id", "age", 999, "age 999 is impossible"),
            dirt.no_key("id", "customer_id"),
        ],
    )
    path = "inbox/owner/customer_data.json"
    delivery.write("owner_customers", path, records, as_json_page(lambda rows: rows))
