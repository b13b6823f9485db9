"""The telephone system: call records as CSV, a file a month, in local time."""

from __future__ import annotations

from carelake.sample import dirt, untidy
from carelake.sample.calendar import plain
from carelake.sample.chance import stream
from carelake.sample.company import Company, conversation_id
from carelake.sample.delivery import Delivery, Record, as_csv, by_month
from carelake.sample.people import OWN_PHONE, SWITCHBOARD

SOURCE = """\
  - name: call_records
    kind: files
    path: inbox/phone/calls-*.csv
    format: csv
    encoding: utf-8
    mode: append
    entity: communications
    channel: phone
    columns:
      communication_id: call_id
      conversation_id: case_no
      direction: direction
      from_address: caller
      to_address: callee
      agent: agent_no
      sent_at: started
      duration_seconds: talk_seconds
      status: result
      body: transcript
    values: {direction: {呼入: inbound, 呼出: outbound}}
    attributes: [queue]
    timestamps: "%Y-%m-%d %H:%M:%S"
    timezone: Asia/Shanghai
    region: CN
    owner: phone-team
    schedule: "@hourly"
    tags: [phone]
"""


def deliver(company: Company, delivery: Delivery) -> None:
    """Write the call records; each file repeats the last calls of the one before."""
    records, moments = [], []
    for spoken in company.on("phone"):
        talk, person = spoken.talk, spoken.talk.person
        rng = stream(company.seed, "calls", talk.number)
        for place, turn in enumerate(talk.turns):
            if turn.sent_at > company.end:
                continue
            number = rng.choice(person.phones)
            if person.uses_switchboard and rng.random() < 0.8:
                number = SWITCHBOARD
            withheld = rng.random() < 0.02
            theirs = "" if withheld else untidy.phone(rng, number)
            ours = untidy.phone(rng, OWN_PHONE)
            lost = turn.role == "abandoned"
            key = f"C{talk.number:07d}{place}"
            moments.append(turn.sent_at)
            records.append(
                Record(
                    key=key,
                    who=() if withheld else (("phone", number),),
                    values={
                        "call_id": key,
                        "case_no": "" if lost else conversation_id(talk),
                        "direction": "呼入" if turn.inbound else "呼出",
                        "caller": theirs if turn.inbound else ours,
                        "callee": ours if turn.inbound else theirs,
                        "agent_no": "" if lost else talk.agent.agent_id,
                        "started": plain(turn.sent_at),
                        "talk_seconds": 0 if lost else turn.seconds,
                        "ring_seconds": turn.seconds if lost else round(talk.wait_minutes * 60),
                        "result": "abandoned" if lost else "answered",
                        "queue": talk.agent.team,
                        "transcript": "" if lost else spoken.lines[place],
                    },
                )
            )
    files = by_month(records, moments)
    dirty = [
        (month, dirt.plant(rows, _SPOILERS[number])) if number < len(_SPOILERS) else (month, rows)
        for number, (month, rows) in enumerate(files)
    ]
    for month, rows in dirt.overlap(dirty):
        delivery.write("call_records", f"inbox/phone/calls-{month}.csv", rows, as_csv())


_SPOILERS: list[list[dirt.Spoiler]] = [
    [
        dirt.line("too few fields"),
        dirt.no_key("call_id", "communication_id"),
        dirt.line("unclosed quote"),
        dirt.field("call_id", "started", "2024-02-31 09:00:00", "sent_at is not a time"),
        dirt.line("NUL"),
        dirt.line("too many fields"),
    ],
    [
        dirt.line("wrong charset"),
        dirt.field("call_id", "talk_seconds", "-12", "duration_seconds is negative"),
        dirt.field("call_id", "direction", "sideways", "direction 'sideways' is not known"),
        dirt.line("too few fields"),
    ],
]
