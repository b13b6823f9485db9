"""The hidden truth beside the sample: who is who, what each record is worth, what drives what.

Only tests read it. It is worked out from the delivered records themselves, by the rules a reader
of the files would apply, so that it holds whatever the dirt did.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from carelake.sample.company import Company, conversation_id
from carelake.sample.delivery import DeliveredFile, Identifier, Record
from carelake.sample.people import SWITCHBOARD, Person


def write_truth(company: Company, files: list[DeliveredFile], folder: Path) -> dict[str, int]:
    """Write the truth as JSON lines; return how many records have which disposition."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(dispositions(files))
    _write(folder / "rows.jsonl", rows)
    _write(folder / "customers.jsonl", _customers(company))
    _write(folder / "contact_points.jsonl", contact_points(files, rows, company))
    _write(folder / "conversations.jsonl", _conversations(company))
    _write(folder / "messages.jsonl", _messages(company))
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        counts[row["disposition"]] += 1
    return dict(sorted(counts.items()))


def dispositions(files: list[DeliveredFile]) -> Iterator[dict[str, Any]]:
    """Yield one row for each delivered record: good, duplicate, superseded, deleted or broken.

    Of the good records of one source and id the newest counts, by (version, file, row); an older
    one with the same content is a duplicate, with other content it is superseded.
    """
    newest: dict[tuple[str, str], tuple[str, str, int, Record]] = {}
    for file in files:
        for number, record in enumerate(file.records, start=1):
            if record.key and not record.broken:
                place = (record.version, file.path, number, record)
                known = newest.get((file.source, record.key))
                if known is None or place[:3] > known[:3]:
                    newest[file.source, record.key] = place
    last = {
        source: max(f.snapshot for f in files if f.source == source)
        for source in {f.source for f in files}
    }
    for file in files:
        for number, record in enumerate(file.records, start=1):
            disposition, reason = "good", ""
            if record.broken:
                disposition, reason = "broken", record.broken
            elif record.key:
                _, path, row, winner = newest[file.source, record.key]
                if (path, row) == (file.path, number):
                    if record.deleted:
                        disposition, reason = "deleted", "marked as deleted"
                    elif file.snapshot != last[file.source]:
                        disposition, reason = "deleted", "not in the newest snapshot"
                elif (record.values, record.raw) == (winner.values, winner.raw):
                    disposition, reason = "duplicate", f"same as {path} row {row}"
                else:
                    disposition, reason = "superseded", f"newer in {path} row {row}"
            yield {
                "source": file.source,
                "file": file.path,
                "row": number,
                "id": record.key or None,
                "disposition": disposition,
                "stage": record.stage or None,
                "reason": reason or None,
            }


def contact_points(
    files: list[DeliveredFile], rows: list[dict[str, Any]], company: Company
) -> Iterator[dict[str, Any]]:
    """Yield one row for each identifier on good records, with the people who use it.

    `component` joins identifiers that good records carry together; identifiers that appear with
    two or more CRM ids are shared, join nobody and have none. Identifiers with the same
    component belong to one customer, and no others do.
    """
    delivered = [record for file in files for record in file.records]
    kept = [
        record.who
        for record, row in zip(delivered, rows, strict=True)
        if row["disposition"] == "good" and record.who
    ]
    shared, leader = joined(kept)
    owners = _owners(company)
    for kind, value in sorted({identifier for who in kept for identifier in who}):
        is_shared = (kind, value) in shared
        root = leader.get((kind, value), (kind, value))
        yield {
            "kind": kind,
            "value": value,
            "persons": owners.get((kind, value), []),
            "is_shared": is_shared,
            "component": None if is_shared else f"{root[0]}:{root[1]}",
        }


def joined(
    kept: list[tuple[Identifier, ...]],
) -> tuple[set[Identifier], dict[Identifier, Identifier]]:
    """Return the shared identifiers, and the leader of the component of each other one."""
    crm_ids: dict[Identifier, set[str]] = defaultdict(set)
    for who in kept:
        for crm in (value for kind, value in who if kind == "crm"):
            for identifier in who:
                crm_ids[identifier].add(crm)
    shared = {identifier for identifier, ids in crm_ids.items() if len(ids) > 1}
    return shared, _join(kept, shared)


def _join(
    groups: list[tuple[Identifier, ...]], shared: set[Identifier]
) -> dict[Identifier, Identifier]:
    """Return the leader (smallest member) of the component of each identifier."""
    parent: dict[Identifier, Identifier] = {}

    def find(item: Identifier) -> Identifier:
        while parent.setdefault(item, item) != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for group in groups:
        own = [identifier for identifier in group if identifier not in shared]
        for identifier in own[1:]:
            one, other = sorted((find(own[0]), find(identifier)))
            parent[other] = one
    return {item: find(item) for item in list(parent)}


def _owners(company: Company) -> dict[Identifier, list[str]]:
    owners: dict[Identifier, list[str]] = defaultdict(list)
    for person in company.people:
        for identifier in identifiers(person):
            owners[identifier].append(person.person_id)
    return owners


def identifiers(person: Person) -> list[Identifier]:
    """Return every identifier a person uses, the shared ones included."""
    result: list[Identifier] = [("crm", person.crm_id)] if person.crm_id else []
    result += [("email", email) for email in person.emails]
    result += [("phone", phone) for phone in person.phones]
    result += [("phone", SWITCHBOARD)] if person.uses_switchboard else []
    result += [("handle", person.chat_handle)] if person.chat_handle else []
    result += [("handle", person.social_handle)] if person.social_handle else []
    return result


def _customers(company: Company) -> Iterator[dict[str, Any]]:
    value: dict[str, float] = defaultdict(float)
    for order in company.orders:
        if order.status not in ("cancelled", "returned"):
            value[order.person.person_id] += order.amount
    for person in company.people:
        yield {
            "person_id": person.person_id,
            "name": person.name,
            "language": person.language,
            "gender": person.gender,
            "age": person.age,
            "city": person.city,
            "segment": person.segment.name,
            "order_value": round(value[person.person_id], 2),
            "patience": round(person.patience, 4),
            "temper": round(person.temper, 4),
            "needs": {need: round(weight, 4) for need, weight in person.needs.items()},
            "channels": {name: round(weight, 4) for name, weight in person.channels.items()},
            "uses_switchboard": person.uses_switchboard,
            "uses_family_mailbox": person.uses_family_mailbox,
            "identifiers": [list(identifier) for identifier in identifiers(person)],
        }


def _conversations(company: Company) -> Iterator[dict[str, Any]]:
    for spoken in company.spoken:
        talk = spoken.talk
        yield {
            "truth_id": talk.truth_id,
            "conversation_id": conversation_id(talk),
            "channel": talk.channel,
            "person_id": talk.person.person_id,
            "need": talk.need,
            "agent_id": talk.agent.agent_id,
            "opened_at": talk.opened_at.isoformat(),
            "outcome": talk.outcome,
            "drivers": {
                "wait_minutes": round(talk.wait_minutes, 4),
                "severity": round(talk.severity, 4),
                "mood": round(talk.mood, 4),
                "skill": round(talk.agent.skill, 4),
                "patience": round(talk.person.patience, 4),
            },
            "satisfaction": round(talk.satisfaction, 4),
            "satisfied": talk.satisfied,
            "survey_score": talk.survey.score if talk.survey else None,
            "customer_text": " ".join(
                line for line, turn in zip(spoken.lines, talk.turns, strict=True) if turn.inbound
            ),
        }


def _messages(company: Company) -> Iterator[dict[str, Any]]:
    """Yield how each message of a customer sounds: by the phrases that praise or scold in it."""
    for spoken in company.spoken:
        for place, (turn, line) in enumerate(zip(spoken.talk.turns, spoken.lines, strict=True)):
            if turn.inbound:
                sounds = spoken.sounds[place]
                yield {
                    "truth_id": spoken.talk.truth_id,
                    "conversation_id": conversation_id(spoken.talk),
                    "channel": spoken.talk.channel,
                    "place": place,
                    "sent_at": turn.sent_at.isoformat(),
                    "language": spoken.talk.person.language,
                    "sentiment": "positive"
                    if sounds > 0
                    else "negative"
                    if sounds < 0
                    else "neutral",
                    "text": line,
                }


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
