"""The company's web chat as a Chatwoot account: what it holds at a moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from carelake.sample.calendar import START
from carelake.sample.company import Company
from carelake.sample.conversations import Conversation, Turn
from carelake.sample.live.known import Delivered, epoch, solved_at
from carelake.sample.people import Agent
from carelake.sample.texts import Spoken

ACCOUNT, INBOX = 1, 1
_CONTACTS, _AGENTS = 500_000, 70
INCOMING, OUTGOING, ACTIVITY = 0, 1, 2


class Chat:
    """Conversations, their messages, ratings, contacts and agents."""

    def __init__(self, company: Company, delivered: Delivered, until: datetime) -> None:
        """Write down what was known at a moment."""
        self._delivered, self._until = delivered, until
        self._taken: set[str] = set()
        self.agents = [_agent(agent) for agent in company.agents]
        self.contacts: dict[str, dict[str, Any]] = {}
        self.conversations: list[dict[str, Any]] = []
        self.messages: dict[int, list[dict[str, Any]]] = {}
        self.ratings: list[dict[str, Any]] = []
        given = self._given(company)
        for spoken in company.on("chat"):
            if spoken.talk.opened_at <= until:
                self._enter(spoken, given)
        self.ratings.sort(key=lambda rating: (rating["created_at"], rating["id"]))

    def _given(self, company: Company) -> dict[str, dict[str, str]]:
        """Return the first address and the first number that each visitor ever gave.

        A contact has one of each, and no two contacts have the same.
        """
        given: dict[str, dict[str, str]] = {}
        for spoken in company.on("chat"):
            who = self._delivered.who("web_chat", _key(spoken.talk, 0))
            known = given.setdefault(who.get("handle", ""), {})
            for kind in ("email", "phone"):
                value = who.get(kind)
                if value and kind not in known and value not in self._taken:
                    known[kind] = value
                    self._taken.add(value)
        return given

    def _enter(self, spoken: Spoken, given: dict[str, dict[str, str]]) -> None:
        talk = spoken.talk
        handle = self._delivered.who("web_chat", _key(talk, 0)).get("handle", "")
        contact = self._contact(talk, handle, given)
        messages = [
            _message(spoken, place, turn, contact)
            for place, turn in enumerate(talk.turns)
            if turn.sent_at <= self._until
        ]
        solved = solved_at(talk, self._until)
        if solved:
            messages.append(_resolved(talk, solved))
        last = max(message["created_at"] for message in messages)
        contact["last_activity_at"] = max(contact["last_activity_at"], last)
        self.messages[talk.number] = messages
        self._rate(spoken, contact)
        replies = [m["created_at"] for m in messages if m["message_type"] == OUTGOING]
        self.conversations.append(
            {
                "id": talk.number,
                "account_id": ACCOUNT,
                "inbox_id": INBOX,
                "status": "resolved" if solved else "open",
                "created_at": epoch(talk.opened_at),
                "last_activity_at": last,
                "first_reply_created_at": min(replies, default=0),
                "labels": [talk.need],
                "priority": None,
                "additional_attributes": {},
                "custom_attributes": {},
                "messages": messages[-1:],
                "meta": {
                    "sender": contact,
                    "channel": "Channel::WebWidget",
                    "assignee": _agent(talk.agent) if replies else None,
                },
            }
        )

    def _contact(
        self, talk: Conversation, handle: str, given: dict[str, dict[str, str]]
    ) -> dict[str, Any]:
        """Return whom the widget knows by handle; who has none is another visitor each time."""
        key = handle or f"visitor {talk.number}"
        if key not in self.contacts:
            known = given.get(handle, {}) if handle else {}
            self.contacts[key] = {
                "id": _CONTACTS + talk.number,
                "name": talk.person.name if handle else f"silent-lake-{talk.number}",
                "email": known.get("email"),
                "phone_number": known.get("phone"),
                "identifier": handle or None,
                "additional_attributes": {},
                "custom_attributes": {},
                "created_at": epoch(talk.opened_at),
                "last_activity_at": epoch(talk.opened_at),
            }
        return self.contacts[key]

    def _rate(self, spoken: Spoken, contact: dict[str, Any]) -> None:
        talk, survey = spoken.talk, spoken.talk.survey
        if survey is None or survey.answered_at > self._until:
            return
        self.ratings.append(
            {
                "id": talk.number,
                "rating": survey.score,
                "feedback_message": spoken.remark or None,
                "account_id": ACCOUNT,
                "message_id": talk.number * 100 + 99,
                "contact": contact,
                "conversation_id": talk.number,
                "assigned_agent": _agent(talk.agent),
                "created_at": epoch(survey.answered_at),
            }
        )


def _key(talk: Conversation, place: int) -> str:
    return f"K{talk.number:07d}{place:02d}"


def _agent(agent: Agent) -> dict[str, Any]:
    return {
        "id": _AGENTS + agent.number, "account_id": ACCOUNT, "name": agent.name, "available_name": agent.name,
        "email": agent.email, "role": "agent", "availability_status": "offline", "created_at": epoch(START),
    }  # fmt: skip


def _message(spoken: Spoken, place: int, turn: Turn, contact: dict[str, Any]) -> dict[str, Any]:
    talk = spoken.talk
    writer = (
        {**contact, "type": "contact"} if turn.inbound else {**_agent(talk.agent), "type": "user"}
    )
    return {
        "id": talk.number * 100 + place,
        "content": spoken.lines[place],
        "content_type": "text",
        "content_attributes": {},
        "conversation_id": talk.number,
        "inbox_id": INBOX,
        "message_type": INCOMING if turn.inbound else OUTGOING,
        "private": False,
        "status": "sent",
        "created_at": epoch(turn.sent_at),
        "sender": {key: value for key, value in writer.items() if key != "last_activity_at"},
    }


def _resolved(talk: Conversation, moment: datetime) -> dict[str, Any]:
    """The line a conversation ends with; nobody said it."""
    return {
        "id": talk.number * 100 + 98,
        "content": f"Conversation was marked resolved by {talk.agent.name}",
        "content_type": "text",
        "content_attributes": {},
        "conversation_id": talk.number,
        "inbox_id": INBOX,
        "message_type": ACTIVITY,
        "private": False,
        "status": "sent",
        "created_at": epoch(moment + timedelta(seconds=1)),
    }
