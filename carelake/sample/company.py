"""The whole made-up company, before any system has written anything down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from carelake.sample.calendar import at
from carelake.sample.conversations import Conversation, make_conversations
from carelake.sample.people import OWN_DOMAIN, Agent, Person, make_agents, make_people
from carelake.sample.shopping import Order, make_orders
from carelake.sample.texts import Spoken, speak


@dataclass(frozen=True)
class Company:
    """Everybody and everything that happened in the period."""

    seed: int
    days: int
    agents: list[Agent]
    people: list[Person]
    orders: list[Order]
    spoken: list[Spoken]

    @property
    def end(self) -> datetime:
        """The moment of export: nothing later is delivered."""
        return at(self.days)

    def on(self, *channels: str) -> list[Spoken]:
        """Return the conversations of some channels, by opening time."""
        return [spoken for spoken in self.spoken if spoken.talk.channel in channels]


def make_company(seed: int, customers: int, days: int) -> Company:
    """Make people, their orders and their conversations."""
    agents = make_agents(seed, customers)
    people = make_people(seed, customers, agents)
    orders = make_orders(seed, people, days)
    talks = make_conversations(seed, people, agents, orders, days)
    return Company(seed, days, agents, people, orders, [speak(seed, talk) for talk in talks])


def conversation_id(talk: Conversation) -> str:
    """Return the id under which the channel's system files a conversation."""
    match talk.channel:
        case "chat":
            return f"S{talk.opened_at:%y%m%d}-{talk.number:05d}"
        case "email":
            return message_id(talk, 0)
        case "social":
            return post_id(talk, 0)
        case _:
            return f"CS{talk.number:06d}"


def message_id(talk: Conversation, turn: int) -> str:
    """Return the Message-ID, without angle brackets, of one mail of a thread."""
    inbound = talk.turns[turn].inbound
    host = talk.person.emails[0].split("@")[1] if inbound else OWN_DOMAIN
    return f"m{talk.number:06d}.{turn}@{host}"


def post_id(talk: Conversation, turn: int) -> str:
    """Return the id of one post of a reply chain."""
    return f"{7_000_000_000 + talk.number * 100 + turn}"
