"""Social media: posts and replies as JSON lines, in the notation of the networks."""

from __future__ import annotations

from carelake.sample import dirt, untidy
from carelake.sample.calendar import posted
from carelake.sample.chance import stream
from carelake.sample.company import Company, post_id
from carelake.sample.delivery import Delivery, Identifier, Record, as_json_lines
from carelake.sample.people import OWN_HANDLE

SOURCE = """\
  - name: social_posts
    kind: files
    path: inbox/social/posts.jsonl
    format: jsonl
    mode: append
    entity: communications
    channel: social
    columns:
      communication_id: post_id
      in_reply_to: reply_to
      from_address: author
      to_address: mentions
      handle: fan
      phone: linked_phone
      agent: answered_by
      sent_at: created
      body: text
    attributes: [network]
    timestamps: "%a %b %d %H:%M:%S %z %Y"
    timezone: Asia/Shanghai
    region: CN
    owner: social-team
    schedule: "@hourly"
    tags: [social]
"""


def deliver(company: Company, delivery: Delivery) -> None:
    """Write all posts by time."""
    dated = []
    for spoken in company.on("social"):
        talk, person = spoken.talk, spoken.talk.person
        rng = stream(company.seed, "social", talk.number)
        handle = str(person.social_handle)
        network = rng.choice(["weibo", "x", "xiaohongshu"])
        for place, turn in enumerate(talk.turns):
            if turn.sent_at > company.end:
                continue
            linked = bool(person.phones) and turn.inbound and rng.random() < 0.3
            who: list[Identifier] = [("handle", handle)]
            who += [("phone", person.phones[0])] if linked else []
            mention = f"{OWN_HANDLE} " if turn.inbound and rng.random() < 0.4 else ""
            record = Record(
                key=post_id(talk, place),
                who=tuple(who),
                values={
                    "post_id": post_id(talk, place),
                    "reply_to": post_id(talk, place - 1) if place else None,
                    "author": handle if turn.inbound else OWN_HANDLE,
                    "mentions": OWN_HANDLE if turn.inbound else handle,
                    "fan": handle,
                    "linked_phone": untidy.phone(rng, person.phones[0]) if linked else None,
                    "answered_by": None if turn.inbound else talk.agent.agent_id,
                    "created": posted(turn.sent_at),
                    "text": mention + spoken.lines[place],
                    "network": network,
                    "likes": rng.randint(0, 40),
                },
            )
            dated.append((turn.sent_at, record.key, record))
    records = [record for _, _, record in sorted(dated, key=lambda row: row[:2])]
    records = dirt.repeat(stream(company.seed, "dirt", "social"), records, 0.006)
    records = dirt.plant(
        records,
        [
            dirt.json_text("cut off"),
            dirt.field("post_id", "created", "Sat Feb 31 10:00:00 +0800 2024",
                       "sent_at is not a time"),
            dirt.no_key("post_id", "communication_id"),
        ],
    )  # fmt: skip
    delivery.write("social_posts", "inbox/social/posts.jsonl", records, as_json_lines)
