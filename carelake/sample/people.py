"""The company's customers and agents, with the traits that make them act as they do."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from carelake.sample.chance import pick, poisson, stream

OWN_DOMAIN = "hualong.example"
OWN_MAILBOX = f"care@{OWN_DOMAIN}"
OWN_PHONE = "+862150008000"
OWN_HANDLE = "@HualongCare"

SWITCHBOARD = "+862161007000"
"""A business customer's number: many of its people call from it, none owns it."""

SWITCHBOARD_SHARE, FAMILY_SIZE = 0.025, 2

NEEDS = (
    "delivery",
    "refund",
    "quality",
    "billing",
    "usage",
    "installation",
    "service",
    "presale",
)
CHANNELS = ("phone", "email", "chat", "social", "in_person")

_SURNAMES_ZH = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
_GIVEN_ZH = {
    "female": [
        "芳",
        "娜",
        "静",
        "丽",
        "敏",
        "婷",
        "雪",
        "梅",
        "秀英",
        "欣怡",
        "雨桐",
        "思琪",
        "佳慧",
    ],
    "male": [
        "伟",
        "强",
        "磊",
        "军",
        "勇",
        "涛",
        "明",
        "超",
        "建国",
        "浩然",
        "子轩",
        "志强",
        "宇航",
    ],
}
_SURNAMES_EN = [
    "Smith", "Jones", "Taylor", "Brown", "Evans", "Walker", "Wright", "Green", "Hall", "Clarke",
    "Turner", "Baker", "Morris", "Cooper", "Bennett", "Reed", "Novak", "Silva", "Rossi", "Meyer",
]  # fmt: skip
_GIVEN_EN = {
    "female": [
        "Emma",
        "Olivia",
        "Grace",
        "Chloe",
        "Sophie",
        "Anna",
        "Laura",
        "Maria",
        "Ruth",
    ],
    "male": [
        "James",
        "Oliver",
        "Daniel",
        "Thomas",
        "Peter",
        "David",
        "Mark",
        "Paul",
        "Leo",
    ],
}
_PINYIN = [
    "wei", "fang", "lei", "min", "jing", "tao", "yan", "hao", "xin", "yu", "chen", "lin", "bo",
]  # fmt: skip
_MAIL_HOSTS = [
    "mail.example",
    "post.example",
    "qmail.example",
    "inbox.example",
    "corp.example",
]
_CITIES = {
    "zh": [("上海", "CN"), ("北京", "CN"), ("广州", "CN"), ("成都", "CN"), ("杭州", "CN"),
           ("武汉", "CN"), ("西安", "CN"), ("南京", "CN")],
    "en": [("Shanghai", "CN"), ("Shenzhen", "CN"), ("London", "GB"), ("Singapore", "SG"),
           ("New York", "US"), ("Hong Kong", "HK")],
}  # fmt: skip


@dataclass(frozen=True)
class Segment:
    """How a group of customers buys: orders in 30 days, money an order, active share of time."""

    name: str
    share: float
    orders_per_month: float
    mean_amount: float
    active: tuple[float, float]
    at_most: int = 999


SEGMENTS = (
    Segment("champions", 0.08, 3.6, 2400.0, (0.0, 1.0)),
    Segment("loyal", 0.20, 2.0, 650.0, (0.0, 1.0)),
    Segment("promising", 0.17, 2.2, 500.0, (0.70, 1.0)),
    Segment("at_risk", 0.17, 2.6, 900.0, (0.0, 0.45)),
    Segment("one_time", 0.20, 1.2, 220.0, (0.0, 0.9), at_most=1),
    Segment("dormant", 0.08, 2.0, 260.0, (0.0, 0.2)),
    Segment("contact_only", 0.10, 0.0, 0.0, (0.0, 0.0), at_most=0),
)


@dataclass(frozen=True)
class Agent:
    """One person who answers customers; skill and speed are hidden traits around 0."""

    number: int
    name: str
    team: str
    channels: tuple[str, ...]
    manager: str
    skill: float
    slowness: float
    shift: str

    @property
    def agent_id(self) -> str:
        """The identifier the systems use."""
        return f"A{self.number:02d}"

    @property
    def email(self) -> str:
        """The agent's own address on the company's domain."""
        return f"agent{self.number:02d}@{OWN_DOMAIN}"

    @property
    def extension(self) -> str:
        """The four digits that reach the agent on the company's switchboard."""
        return f"8{self.number:03d}"


@dataclass
class Person:
    """One customer as they really are, under every identifier they use."""

    number: int
    name: str
    language: str
    gender: str
    age: int
    city: str
    country: str
    segment: Segment
    crm_id: str | None = None
    emails: list[str] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)
    chat_handle: str | None = None
    social_handle: str | None = None
    owner: Agent | None = None
    do_not_contact: bool = False
    contacts_per_month: float = 1.9
    patience: float = 0.0
    temper: float = 0.0
    needs: dict[str, float] = field(default_factory=dict)
    channels: dict[str, float] = field(default_factory=dict)
    uses_switchboard: bool = False
    uses_family_mailbox: bool = False

    @property
    def person_id(self) -> str:
        """The name of this person in the truth; no system knows it."""
        return f"P{self.number:06d}"

    @property
    def preferred_channel(self) -> str:
        """The channel this person comes by most."""
        return max(self.channels, key=lambda channel: (self.channels[channel], channel))


def make_agents(seed: int, customers: int) -> list[Agent]:
    """Return the staff: one agent for about 22 customers, at least six, in five teams."""
    teams: list[tuple[str, tuple[str, ...]]] = [
        ("电话一组", ("phone",)),
        ("Chat", ("chat",)),
        ("Mail", ("email", "social")),
        ("电话二组", ("phone", "in_person")),
        ("Night", ("chat", "email", "social", "phone")),
    ]
    managers = ["周敏", "Helen Ward", "Helen Ward", "周敏", "罗建国"]
    agents = []
    for number in range(1, max(6, customers // 22) + 1):
        rng = stream(seed, "agents", number)
        index = (number - 1) % len(teams)
        gender = rng.choice(["female", "male"])
        name = _english_name(rng, gender) if rng.random() < 0.4 else _chinese_name(rng, gender)
        team, channels = teams[index]
        agents.append(
            Agent(
                number=number, name=name, team=team, channels=channels, manager=managers[index],
                skill=rng.gauss(0.0, 1.0), slowness=rng.gauss(0.0, 0.25),
                shift=rng.choice(["morning", "day", "evening"]) if team != "Night" else "night",
            )
        )  # fmt: skip
    return agents


def make_people(seed: int, customers: int, agents: list[Agent]) -> list[Person]:
    """Return the customers, the switchboard's people and the family among them."""
    people = [_person(seed, number, agents) for number in range(1, customers + 1)]
    with_crm = [person for person in people if person.crm_id and person.emails and person.phones]
    rng = stream(seed, "shared")
    office = max(3, round(customers * SWITCHBOARD_SHARE))
    chosen = rng.sample(with_crm, min(len(with_crm), office + FAMILY_SIZE))
    family, colleagues = chosen[:FAMILY_SIZE], chosen[FAMILY_SIZE:]
    for person in colleagues:
        person.uses_switchboard = True
        person.channels["phone"] = max(person.channels.get("phone", 0.0), 1.0)
    for person in family:
        person.uses_family_mailbox = True
        person.emails = [f"family.home@{_MAIL_HOSTS[0]}"]
        person.channels["email"] = max(person.channels.get("email", 0.0), 1.0)
    return people


def _person(seed: int, number: int, agents: list[Agent]) -> Person:
    rng = stream(seed, "people", number)
    language = "zh" if rng.random() < 0.7 else "en"
    gender = rng.choice(["female", "male"])
    city, country = rng.choice(_CITIES[language])
    segment = pick(rng, {segment: segment.share for segment in SEGMENTS})
    person = Person(
        number=number,
        name=_chinese_name(rng, gender) if language == "zh" else _english_name(rng, gender),
        language=language,
        gender=gender,
        age=min(88, max(18, round(rng.gammavariate(7.0, 6.0)))),
        city=city,
        country=country,
        segment=segment,
        crm_id=str(100_000 + number * 7) if rng.random() < 0.84 else None,
        owner=rng.choice(agents),
        do_not_contact=rng.random() < 0.04,
        contacts_per_month=rng.gammavariate(2.2, 0.86),
        patience=rng.gauss(0.0, 0.6),
        temper=rng.gauss(0.0, 0.55),
        needs={need: rng.gammavariate(0.8, 1.0) for need in NEEDS},
    )
    _give_identifiers(person, rng)
    return person


def _give_identifiers(person: Person, rng: random.Random) -> None:
    if rng.random() < 0.86:
        person.emails.append(_email(person, rng))
        if rng.random() < 0.12:
            person.emails.append(_email(person, rng))
    if rng.random() < 0.9 or not person.emails:
        person.phones.append(_phone(person, rng))
        if rng.random() < 0.1:
            person.phones.append(_phone(person, rng, second=True))
    if rng.random() < 0.66:
        person.chat_handle = f"wx_{rng.getrandbits(40):010x}"
    if rng.random() < 0.34:
        person.social_handle = f"@{_syllables(rng)}_{person.number}"
    base = {
        "phone": 1.0 if person.phones else 0.0,
        "email": 0.9 if person.emails else 0.0,
        "chat": 1.9 if person.chat_handle else 0.0,
        "social": 1.1 if person.social_handle else 0.0,
        "in_person": 0.15,
    }
    person.channels = {
        channel: weight * rng.gammavariate(2.0, 0.5) for channel, weight in base.items() if weight
    }


def _email(person: Person, rng: random.Random) -> str:
    return f"{_syllables(rng)}.{person.number}{rng.choice('abcdefgh')}@{rng.choice(_MAIL_HOSTS)}"


def _phone(person: Person, rng: random.Random, second: bool = False) -> str:
    serial = person.number * 2 + int(second)
    # 555-01xx is kept for fiction and has a hundred numbers; the rest are Chinese mobiles.
    if person.country == "US" and serial < 100:
        return f"+120255501{serial:02d}"
    if person.country == "SG":
        return f"+659{serial:07d}"
    return f"+86199{rng.randrange(10)}{serial:07d}"


def _syllables(rng: random.Random) -> str:
    return "".join(rng.choice(_PINYIN) for _ in range(2 + poisson(rng, 0.3)))


def _chinese_name(rng: random.Random, gender: str) -> str:
    return rng.choice(_SURNAMES_ZH) + rng.choice(_GIVEN_ZH[gender])


def _english_name(rng: random.Random, gender: str) -> str:
    return f"{rng.choice(_GIVEN_EN[gender])} {rng.choice(_SURNAMES_EN)}"
