"""What customers come with, how they are treated, and how satisfied that leaves them.

Satisfaction is decided here, from drivers that really act on it: the wait against what the
channel makes people expect, whether the matter was solved at first contact, the agent's skill,
the kind of need, and the customer's mood, which is heard in the words they use.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from datetime import datetime

from carelake.sample.calendar import after, at
from carelake.sample.chance import pick, poisson, sigmoid, stream
from carelake.sample.people import Agent, Person
from carelake.sample.shopping import Order

EXPECTED_WAIT = {
    "phone": 1.5,
    "chat": 2.5,
    "email": 420.0,
    "social": 150.0,
    "in_person": 6.0,
}
"""Minutes to the first reply that customers think fair, per channel."""

NEED_WEIGHT = {
    "delivery": 1.5, "refund": 1.1, "quality": 1.0, "billing": 0.6, "usage": 1.0,
    "installation": 0.7, "service": 0.5, "presale": 1.0,
}  # fmt: skip
NEED_EFFECT = {
    "delivery": -0.1, "refund": -0.45, "quality": -0.5, "billing": 0.0, "usage": 0.45,
    "installation": 0.2, "service": -0.8, "presale": 0.6,
}  # fmt: skip
_HOURS = [
    1,
    1,
    0.5,
    0.3,
    0.3,
    0.5,
    1,
    2,
    4,
    7,
    9,
    9,
    6,
    6,
    8,
    9,
    9,
    8,
    7,
    6,
    7,
    6,
    4,
    2,
]


@dataclass
class Turn:
    """One message or call: who spoke, when, and what about (the words come later)."""

    sent_at: datetime
    inbound: bool
    role: str  # opening, answer, detail, chase, solution, closing, return, abandoned
    seconds: int = 0


@dataclass
class Survey:
    """What the customer said about the conversation when asked."""

    score: int
    answered_at: datetime
    comment_mood: float


@dataclass
class Conversation:
    """One matter on one channel, with its hidden drivers and outcome."""

    number: int
    person: Person
    agent: Agent
    channel: str
    need: str
    opened_at: datetime
    wait_minutes: float
    outcome: str  # solved_first, solved_later, reopened, open
    mood: float
    severity: float
    priority: str
    satisfaction: float
    satisfied: bool
    closed_at: datetime | None
    order: Order | None
    turns: list[Turn] = field(default_factory=list)
    survey: Survey | None = None

    @property
    def truth_id(self) -> str:
        """The name of this conversation in the truth; no system knows it."""
        return f"V{self.number:07d}"


def load_on(day: float) -> float:
    """How busy the service is, 1 on an ordinary day; weekends and a sale in March are worse."""
    weekend = 0.25 if int(day) % 7 in (5, 6) else 0.0
    sale = 0.9 if 66 <= day < 76 else 0.0
    return 1.0 + weekend + sale + 0.15 * math.sin(day / 9.0)


def make_conversations(
    seed: int, people: list[Person], agents: list[Agent], orders: list[Order], days: int
) -> list[Conversation]:
    """Return every conversation of the period, numbered in the order they opened."""
    bought: dict[str, list[Order]] = {}
    for order in orders:
        bought.setdefault(order.person.person_id, []).append(order)
    drafts: list[Conversation] = []
    for person in people:
        rng = stream(seed, "conversations", person.number)
        mine = bought.get(person.person_id, [])
        count = poisson(rng, person.contacts_per_month * days / 30)
        drafts.extend(_conversation(rng, person, agents, mine, days) for _ in range(count))
    drafts.sort(key=lambda draft: (draft.opened_at, draft.person.number))
    for number, draft in enumerate(drafts, start=1):
        draft.number = number
    return drafts


def _conversation(
    rng: random.Random,
    person: Person,
    agents: list[Agent],
    orders: list[Order],
    days: int,
) -> Conversation:
    day = rng.random() * days
    hour = pick(rng, dict(enumerate(_HOURS)))
    opened_at = at(int(day) + (hour + rng.random()) / 24)
    order = _recent(rng, orders, opened_at)
    need = pick(rng, _needs_of(person, order))
    channel = pick(rng, person.channels)
    agent = rng.choice([agent for agent in agents if channel in agent.channels] or agents)
    severity = -NEED_EFFECT[need] + rng.gauss(0.0, 0.8)
    wait_ratio = _wait_ratio(rng, day, hour, agent)
    wait = EXPECTED_WAIT[channel] * wait_ratio
    mood = person.temper + rng.gauss(0.0, 0.9) - 0.35 * severity
    outcome = _outcome(rng, agent, severity)
    impatience = max(0.3, 1.0 - 0.5 * person.patience)
    satisfaction = (
        0.45
        + 1.7 * mood
        - 1.7 * impatience * max(-1.2, min(2.0, math.log(wait_ratio)))
        + {"solved_first": 0.9, "solved_later": -0.4, "reopened": -1.9, "open": -1.9}[outcome]
        + 0.4 * agent.skill
        + 0.8 * NEED_EFFECT[need]
    )
    felt = satisfaction + 0.5 * _logistic(rng)
    conversation = Conversation(
        number=0, person=person, agent=agent, channel=channel, need=need, opened_at=opened_at,
        wait_minutes=wait, outcome=outcome, mood=mood, severity=severity,
        priority="high" if severity > 1.0 else "low" if severity < -0.8 else "normal",
        satisfaction=satisfaction, satisfied=felt > 0, closed_at=None, order=order,
    )  # fmt: skip
    _talk(rng, conversation)
    _ask(rng, conversation, felt)
    return conversation


def _needs_of(person: Person, order: Order | None) -> dict[str, float]:
    weights = {need: person.needs[need] * NEED_WEIGHT[need] + 0.05 for need in NEED_WEIGHT}
    if order is None:
        return {"presale": 1.0 + weights["presale"], "usage": weights["usage"] + 0.3,
                "service": weights["service"], "billing": 0.2}  # fmt: skip
    return weights


def _recent(rng: random.Random, orders: list[Order], opened_at: datetime) -> Order | None:
    """Return an order of the month before, newer ones rather; people write about those."""
    recent = [order for order in orders if 0 <= (opened_at - order.ordered_at).days < 30]
    return rng.choice(recent[-3:]) if recent else None


def _wait_ratio(rng: random.Random, day: float, hour: int, agent: Agent) -> float:
    late = 0.35 if hour < 8 or hour >= 21 else 0.0
    return math.exp(rng.gauss(-0.25, 0.75) + agent.slowness + late) * load_on(day)


def _outcome(rng: random.Random, agent: Agent, severity: float) -> str:
    if rng.random() < sigmoid(0.95 + 0.55 * agent.skill - 0.5 * severity):
        return "solved_first"
    return pick(rng, {"solved_later": 0.52, "reopened": 0.40, "open": 0.08})


def _logistic(rng: random.Random) -> float:
    share = min(max(rng.random(), 1e-9), 1 - 1e-9)
    return math.log(share / (1 - share))


def _talk(rng: random.Random, talk: Conversation) -> None:
    """Lay out the turns; each channel has its own tempo."""
    tempo = {
        "phone": 0.0,
        "chat": 1.6,
        "email": 190.0,
        "social": 70.0,
        "in_person": 0.0,
    }
    pause = tempo[talk.channel]
    if talk.channel == "phone":
        _call(rng, talk)
    elif talk.channel == "in_person":
        talk.closed_at = after(talk.opened_at, talk.wait_minutes + rng.uniform(5, 40))
        _come_back(rng, talk, pause)
    else:
        _write(rng, talk, pause)


def _write(rng: random.Random, talk: Conversation, pause: float) -> None:
    now = talk.opened_at
    talk.turns.append(Turn(now, True, "opening"))
    ratio = talk.wait_minutes / EXPECTED_WAIT[talk.channel]
    if ratio > 2.0 and rng.random() < 0.6:
        talk.turns.append(
            Turn(after(now, talk.wait_minutes * rng.uniform(0.4, 0.9)), True, "chase")
        )
    now = after(now, max(0.15, talk.wait_minutes))
    talk.turns.append(Turn(now, False, "answer"))
    rounds = {"chat": 1 + poisson(rng, 0.7), "email": poisson(rng, 0.45)}.get(talk.channel, 0)
    for _ in range(rounds + int(talk.outcome == "solved_later")):
        now = after(now, pause * rng.uniform(0.3, 2.0))
        talk.turns.append(Turn(now, True, "detail"))
        now = after(now, pause * rng.uniform(0.3, 2.0))
        talk.turns.append(Turn(now, False, "answer"))
    if talk.outcome == "solved_later":
        now = after(now, rng.uniform(300, 2400))
        talk.turns.append(Turn(now, False, "solution"))
    if rng.random() < {"chat": 0.85, "email": 0.4, "social": 0.45}[talk.channel]:
        now = after(now, pause * rng.uniform(0.2, 1.5))
        talk.turns.append(Turn(now, True, "closing"))
    talk.closed_at = now
    _come_back(rng, talk, pause)


def _call(rng: random.Random, talk: Conversation) -> None:
    now = talk.opened_at
    ratio = talk.wait_minutes / EXPECTED_WAIT["phone"]
    if ratio > 2.2 and rng.random() < 0.5:
        talk.turns.append(Turn(now, True, "abandoned", round(rng.uniform(20, 90))))
        now = after(now, rng.uniform(4, 50))
    seconds = round(rng.lognormvariate(5.4, 0.6) * (1.0 + 0.15 * max(0.0, talk.severity)))
    talk.turns.append(Turn(now, True, "opening", seconds))
    now = after(now, talk.wait_minutes + seconds / 60)
    if talk.outcome == "solved_later":
        now = after(now, rng.uniform(200, 2600))
        seconds = round(rng.lognormvariate(4.9, 0.5))
        talk.turns.append(Turn(now, False, "solution", seconds))
        now = after(now, seconds / 60)
    talk.closed_at = now
    _come_back(rng, talk, 0.0)


def _come_back(rng: random.Random, talk: Conversation, pause: float) -> None:
    """A matter thought closed that was not: the customer returns after a day or two."""
    if talk.outcome == "open":
        talk.closed_at = None
        talk.turns = [turn for turn in talk.turns if turn.role != "closing"]
    if talk.outcome == "reopened" and talk.closed_at and talk.channel != "in_person":
        patient = 7200 if talk.channel in ("email", "social") else 3600
        now = after(talk.closed_at, rng.uniform(700, patient))
        on_phone = talk.channel == "phone"
        seconds = round(rng.lognormvariate(5.2, 0.5)) if on_phone else 0
        talk.turns.append(Turn(now, True, "return", seconds))
        if not on_phone:
            now = after(now, max(1.0, pause * rng.uniform(0.5, 3.0)))
            talk.turns.append(Turn(now, False, "solution"))


def _ask(rng: random.Random, talk: Conversation, felt: float) -> None:
    """Send the survey when the talk is over; the angry and the happy answer a little more."""
    if talk.outcome == "open" or talk.closed_at is None:
        return
    if rng.random() > min(0.62, 0.36 + 0.03 * abs(felt)):
        return
    last = max([talk.closed_at, *(turn.sent_at for turn in talk.turns)])
    if felt > 0:
        score = 5 if felt + 0.5 * rng.random() > 1.8 else 4
    else:
        score = 1 if felt < -2.2 else 2 if felt < -0.9 else 3
    talk.survey = Survey(score, after(last, rng.uniform(8, 2400)), felt / 2 + rng.gauss(0, 0.4))
