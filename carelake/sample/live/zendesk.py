"""The company's support mailbox as a Zendesk account: what it holds at a moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from carelake.sample.calendar import START, after
from carelake.sample.company import Company, message_id
from carelake.sample.conversations import Conversation, Turn
from carelake.sample.live.known import Delivered, epoch, solved_at, zulu
from carelake.sample.people import Agent
from carelake.sample.texts import Spoken

ACKNOWLEDGEMENT = "We have received your message. 我们已收到您的来信。"
_USERS, _AGENTS = 20_000_000, 9_000
_LOCALES = {"zh": "zh-CN", "en": "en-US"}


class Desk:
    """Tickets, their events, ratings and users, each by time."""

    def __init__(self, company: Company, delivered: Delivered, until: datetime) -> None:
        """Write down what was known at a moment."""
        self._delivered, self._until = delivered, until
        self._addresses: dict[str, int] = {}
        self.users: list[dict[str, Any]] = [_agent(agent) for agent in company.agents]
        self.tickets: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.ratings: list[dict[str, Any]] = []
        for spoken in company.on("email"):
            if spoken.talk.opened_at <= until:
                self._enter(spoken)
        self.tickets.sort(key=lambda ticket: (ticket["generated_timestamp"], ticket["id"]))
        self.events.sort(key=lambda event: (event["timestamp"], event["id"]))
        self.ratings.sort(key=lambda rating: (rating["updated_at"], rating["id"]))

    def _enter(self, spoken: Spoken) -> None:
        talk = spoken.talk
        requester = self._requester(talk)
        events = [
            self._event(spoken, place, turn, requester)
            for place, turn in enumerate(talk.turns)
            if turn.sent_at <= self._until
        ]
        received_at = after(talk.opened_at, 0.5)
        ours = f"ack.{message_id(talk, 0)}"
        if self._delivered.record("support_mailbox", ours) and received_at <= self._until:
            events.append(_acknowledgement(talk, received_at))
        self.events.extend(events)
        self._rate(spoken, requester)
        self.tickets.append(self._ticket(spoken, requester, max(e["timestamp"] for e in events)))

    def _requester(self, talk: Conversation) -> int:
        """Return who wrote: everybody is known by one address, from the first mail on."""
        address = self._delivered.who("support_mailbox", message_id(talk, 0))["email"]
        known = self._addresses.get(address)
        if known is not None:
            return known
        ident = self._addresses[address] = _USERS + talk.number
        person, moment = talk.person, zulu(talk.opened_at)
        self.users.append(
            _user(ident, person.name, address, "end-user", moment, _LOCALES[person.language])
        )
        return ident

    def _ticket(self, spoken: Spoken, requester: int, last: int) -> dict[str, Any]:
        talk = spoken.talk
        solved = solved_at(talk, self._until)
        changed = max(last, epoch(solved) if solved else 0)
        is_taken = any(not t.inbound and t.sent_at <= self._until for t in talk.turns)
        return {
            "id": talk.number,
            "created_at": zulu(talk.opened_at),
            "updated_at": datetime.fromtimestamp(changed, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "generated_timestamp": changed,
            "subject": spoken.subject,
            "raw_subject": spoken.subject,
            "description": spoken.lines[0],
            "type": None,
            "priority": talk.priority,
            "status": "solved" if solved else "open",
            "tags": [talk.need],
            "via": {"channel": "email"},
            "requester_id": requester,
            "assignee_id": agent_id(talk.agent) if is_taken else None,
            "metric_set": {"ticket_id": talk.number, "solved_at": zulu(solved) if solved else None},
        }

    def _event(self, spoken: Spoken, place: int, turn: Turn, requester: int) -> dict[str, Any]:
        """A mail that came or went; with the first answer somebody takes the ticket."""
        talk, author = spoken.talk, requester if turn.inbound else agent_id(spoken.talk.agent)
        ident = talk.number * 1000 + place * 10
        children: list[dict[str, Any]] = [
            _comment(ident + 1, author, spoken.lines[place], zulu(turn.sent_at))
        ]
        if not turn.inbound and all(earlier.inbound for earlier in talk.turns[:place]):
            children.append(
                {
                    "id": ident + 2,
                    "event_type": "Change",
                    "assignee_id": author,
                    "previous_value": None,
                }
            )
        return {
            "id": ident,
            "ticket_id": talk.number,
            "timestamp": epoch(turn.sent_at),
            "created_at": zulu(turn.sent_at),
            "updater_id": author,
            "via": "Mail",
            "child_events": children,
        }

    def _rate(self, spoken: Spoken, requester: int) -> None:
        """Enter what the customer answered: good or bad, as there is nothing between."""
        talk, survey = spoken.talk, spoken.talk.survey
        if survey is None or survey.answered_at > self._until:
            return
        moment = zulu(survey.answered_at)
        self.ratings.append(
            {
                "id": talk.number,
                "ticket_id": talk.number,
                "requester_id": requester,
                "assignee_id": agent_id(talk.agent),
                "score": "good" if survey.score >= 4 else "bad",
                "comment": spoken.remark or None,
                "created_at": moment,
                "updated_at": moment,
            }
        )


def agent_id(agent: Agent) -> int:
    """Return the id of an agent among the users."""
    return _AGENTS + agent.number


def _agent(agent: Agent) -> dict[str, Any]:
    return _user(agent_id(agent), agent.name, agent.email, "agent", zulu(START), "zh-CN")


def _user(ident: int, name: str, email: str, role: str, moment: str, locale: str) -> dict[str, Any]:
    return {
        "id": ident, "name": name, "email": email, "phone": None, "locale": locale, "role": role,
        "active": True, "suspended": False, "created_at": moment, "updated_at": moment,
    }  # fmt: skip


def _comment(ident: int, author: int, body: str, moment: str) -> dict[str, Any]:
    return {
        "id": ident, "event_type": "Comment", "type": "Comment", "author_id": author, "body": body,
        "public": True, "created_at": moment, "via": {"channel": "email"},
    }  # fmt: skip


def _acknowledgement(talk: Conversation, moment: datetime) -> dict[str, Any]:
    """What a rule of the account answers at once; Zendesk signs it with -1."""
    comment = _comment(talk.number * 1000 + 991, -1, ACKNOWLEDGEMENT, zulu(moment))
    return {
        "id": talk.number * 1000 + 990,
        "ticket_id": talk.number,
        "timestamp": epoch(moment),
        "created_at": zulu(moment),
        "updater_id": -1,
        "via": "Rule",
        "child_events": [{**comment, "via": {"channel": "rule"}}],
    }
