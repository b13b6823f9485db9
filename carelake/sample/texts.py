"""The words of conversations: composed from phrases, so that mood is heard but never spelled."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from carelake.sample import texts_en, texts_zh
from carelake.sample.chance import poisson, sigmoid, stream
from carelake.sample.conversations import Conversation, Turn
from carelake.sample.shopping import PRODUCTS, Product

_FITTING = {
    "usage": {"appliance", "kitchen"},
    "installation": {"furniture", "lighting"},
    "quality": {"appliance", "kitchen", "lighting"},
}
_SOUNDS = {"good": 1, "bad": -1, "calm": 0, "plain": 0}
_PHRASES = {"zh": texts_zh, "en": texts_en}


class Words:
    """Everything that is said in one conversation, in its customer's language."""

    def __init__(self, seed: int, talk: Conversation) -> None:
        self._talk = talk
        self._rng = stream(seed, "texts", talk.number)
        self._phrases: ModuleType = _PHRASES[talk.person.language]
        self._product = self._about()
        self._felt = 0
        rng, person = self._rng, talk.person
        self._slots = {
            "product": getattr(self._product, person.language),
            "order": talk.order.order_id if talk.order else f"SO24{rng.randrange(10**8):08d}",
            "days": str(rng.randint(2, 15)),
            "city": person.city,
            "amount": f"{talk.order.amount if talk.order else self._product.price:.0f}",
            "agent": talk.agent.name,
            "phone": person.phones[0].removeprefix("+86") if person.phones else "+65 91234567",
            "email": person.emails[0] if person.emails else "me@mail.example",
            "id_number": f"11010119{rng.randint(60, 99)}0{rng.randint(1, 9)}1{rng.randint(0, 9)}"
            f"{rng.randrange(10_000):04d}",
            "card": f"622202{rng.randrange(10**13):013d}",
        }

    @property
    def product(self) -> Product:
        """The article the conversation is about."""
        return self._product

    def _about(self) -> Product:
        """Choose the article: one of the order's if the need can be had with it."""
        fitting = _FITTING.get(self._talk.need)
        bought = [line.product for line in self._talk.order.lines] if self._talk.order else []
        for shelf in (bought, PRODUCTS):
            sensible = [item for item in shelf if not fitting or item.category in fitting]
            if sensible:
                return self._rng.choice(sensible)
        raise AssertionError("no article fits")

    def subject(self) -> str:
        """Return the subject line of an e-mail or a case."""
        return str(self._phrases.SUBJECTS[self._talk.need]).format(**self._slots)

    def say(self, turn: Turn) -> tuple[str, int]:
        """Return the words of one turn, and how they sound: phrases that praise less those that scold."""
        self._felt = 0
        return self._say(turn), self._felt

    def _say(self, turn: Turn) -> str:
        p, rng = self._phrases, self._rng
        match turn.role:
            case "opening":
                return self._opening()
            case "detail":
                return self._join([self._fill(rng.choice(p.DETAILS)), *self._moods(0.8)])
            case "chase":
                return self._join([rng.choice(p.CHASES), *self._moods(0.5)])
            case "closing":
                return self._closing()
            case "return":
                return self._join([self._fill(rng.choice(p.RETURNS)), *self._moods(1.0)])
            case "solution":
                return self._fill(rng.choice(p.AGENT_SOLUTIONS))
            case _:
                return self._fill(rng.choice(p.AGENT_ANSWERS))

    def remark(self, mood: float) -> str:
        """Return a survey comment in the given mood, often none."""
        rng = self._rng
        if rng.random() < 0.45:
            return ""
        tone = "good" if mood > 0.35 else "bad" if mood < -0.35 else "plain"
        return self._fill(rng.choice(self._phrases.REMARKS[tone]))

    def _opening(self) -> str:
        p, rng = self._phrases, self._rng
        parts = [self._fill(rng.choice(p.OPENINGS[self._talk.need])), *self._moods(3.2)]
        if rng.random() < 0.35:
            parts.append(self._fill(rng.choice(p.DETAILS)))
        if rng.random() < 0.05:
            parts.append(self._fill(rng.choice(p.PERSONAL)))
        rng.shuffle(parts)
        greeting = rng.choice(p.GREETINGS)
        return self._join([greeting, *parts] if greeting else parts)

    def _closing(self) -> str:
        rng, talk = self._rng, self._talk
        lift = {"solved_first": 0.9, "solved_later": 0.3, "reopened": 0.2, "open": -0.6}
        feeling = 0.7 * talk.mood + lift[talk.outcome] + rng.gauss(0.0, 0.6)
        tone = "good" if feeling > 0.6 else "bad" if feeling < -0.5 else "plain"
        self._felt += _SOUNDS[tone]
        return str(rng.choice(self._phrases.CLOSINGS[tone]))

    def _moods(self, mean: float) -> list[str]:
        """Return some phrases that lean the way the customer feels."""
        p, rng = self._phrases, self._rng
        said = []
        for _ in range(min(5, poisson(rng, mean))):
            good, bad = (
                sigmoid(1.7 * self._talk.mood - 0.6),
                sigmoid(-1.7 * self._talk.mood - 0.6),
            )
            tone = rng.choices(["good", "bad", "calm"], weights=[good, bad, 0.3])[0]
            phrase = str(rng.choice(p.MOODS[tone]))
            if phrase not in said:
                self._felt += _SOUNDS[tone]
            said.append(phrase)
        return list(dict.fromkeys(said))

    def _fill(self, phrase: str) -> str:
        return phrase.format(**self._slots)

    def _join(self, parts: list[str]) -> str:
        if self._phrases is texts_zh:
            return "，".join(parts) + self._rng.choice(["", "。", "！", "。"])
        text = self._rng.choice([", ", ". "]).join(parts)
        return text + self._rng.choice(["", ".", "!", "."])


@dataclass(frozen=True)
class Spoken:
    """A conversation with its words: one line for each turn, a subject, a survey remark."""

    talk: Conversation
    subject: str
    lines: tuple[str, ...]
    remark: str
    product: Product
    sounds: tuple[int, ...] = ()
    """Per turn, phrases that praise less those that scold; known to the truth alone."""


def speak(seed: int, talk: Conversation) -> Spoken:
    """Put a conversation into words."""
    words = Words(seed, talk)
    subject = words.subject()
    said = [words.say(turn) for turn in talk.turns]
    return Spoken(
        talk=talk,
        subject=subject,
        lines=tuple(line for line, _ in said),
        remark=words.remark(talk.survey.comment_mood) if talk.survey else "",
        product=words.product,
        sounds=tuple(sound for _, sound in said),
    )
