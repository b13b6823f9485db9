"""The web chat: one JSON line for each message, gzipped, in UTC."""

from __future__ import annotations

from carelake.sample import dirt, untidy
from carelake.sample.calendar import iso_utc
from carelake.sample.chance import stream
from carelake.sample.company import Company, conversation_id
from carelake.sample.conversations import Conversation
from carelake.sample.delivery import (
    Delivery,
    Identifier,
    Record,
    as_json_lines_gz,
    by_month,
)

SOURCE = """\
  - name: web_chat
    kind: files
    path: inbox/chat/messages-*.jsonl.gz
    format: jsonl
    mode: append
    entity: communications
    channel: chat
    columns:
      communication_id: msg_id
      conversation_id: session
      direction: sender
      handle: visitor_id
      email: visitor_email
      phone: visitor_phone
      agent: agent_no
      sent_at: sent
      body: text
      category: topic
      status: state
    values:
      direction: {visitor: inbound, agent: outbound}
      category: {Shipping: delivery, Returns: refund, Defects: quality, Invoices: billing,
                 How-to: usage, Fitting: installation, Complaints: service, Sales: presale}
      status: {ended: closed, active: open}
    attributes: [page, device]
    timezone: UTC
    region: CN
    owner: chat-team
    schedule: "*/15 * * * *"
    tags: [chat]
"""

_TOPICS = {
    "delivery": "Shipping", "refund": "Returns", "quality": "Defects", "billing": "Invoices",
    "usage": "How-to", "installation": "Fitting", "service": "Complaints", "presale": "Sales",
}  # fmt: skip


def deliver(company: Company, delivery: Delivery) -> None:
    """Write the messages of all sessions, a file a month."""
    records, moments = [], []
    for spoken in company.on("chat"):
        talk, person = spoken.talk, spoken.talk.person
        rng = stream(company.seed, "chat", talk.number)
        anonymous = rng.random() < 0.03
        topic = _TOPICS[talk.need] if rng.random() < 0.85 else None
        device, page = (
            rng.choice(["ios", "android", "pc"]),
            rng.choice(["/", "/order", "/help"]),
        )
        endings = _endings(talk) if talk.closed_at else set()
        for place, turn in enumerate(talk.turns):
            if turn.sent_at > company.end:
                continue
            email = phone = ""
            if place == 0 and not anonymous:
                email = rng.choice(person.emails) if person.emails and rng.random() < 0.45 else ""
                phone = rng.choice(person.phones) if person.phones and rng.random() < 0.3 else ""
            who: list[Identifier] = []
            if person.chat_handle and not anonymous:
                who.append(("handle", person.chat_handle))
            who += [("email", email)] if email else []
            who += [("phone", phone)] if phone else []
            key = f"K{talk.number:07d}{place:02d}"
            moments.append(turn.sent_at)
            records.append(
                Record(
                    key=key,
                    who=tuple(who),
                    values={
                        "msg_id": key,
                        "session": conversation_id(talk),
                        "sent": iso_utc(turn.sent_at),
                        "sender": "visitor" if turn.inbound else "agent",
                        "visitor_id": None if anonymous else person.chat_handle,
                        "visitor_email": untidy.email(rng, email) if email else None,
                        "visitor_phone": untidy.phone(rng, phone) if phone else None,
                        "agent_no": None if turn.inbound else talk.agent.agent_id,
                        "text": spoken.lines[place],
                        "topic": topic,
                        "state": "ended" if place in endings else "active",
                        "page": page,
                        "device": device,
                    },
                )
            )
    rng = stream(company.seed, "dirt", "chat")
    for number, (month, rows) in enumerate(by_month(records, moments)):
        rows = dirt.repeat(rng, rows, 0.004)
        if number < 2:
            rows = dirt.plant(rows, _SPOILERS)
        delivery.write("web_chat", f"inbox/chat/messages-{month}.jsonl.gz", rows, as_json_lines_gz)


def _endings(talk: Conversation) -> set[int]:
    """Return the places of the answers after which the agent ended the session.

    A customer who returns finds it ended, so a session can end twice.
    """
    answers = [place for place, turn in enumerate(talk.turns) if not turn.inbound]
    returns = [place for place, turn in enumerate(talk.turns) if turn.role == "return"]
    return {answers[-1], *(max(p for p in answers if p < back) for back in returns)}


_SPOILERS: list[dirt.Spoiler] = [
    dirt.json_text("cut off"),
    dirt.no_key("msg_id", "communication_id"),
    dirt.json_text("not JSON"),
    dirt.field("msg_id", "sent", "yesterday", "sent_at is not a time"),
]
