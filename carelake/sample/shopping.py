"""What customers buy: orders as a gamma-Poisson process, each segment in its own rhythm."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime

from carelake.sample.calendar import after, at
from carelake.sample.chance import pick, poisson, stream
from carelake.sample.people import Person


@dataclass(frozen=True)
class Product:
    """One article; the price is in yuan."""

    product_id: str
    zh: str
    en: str
    category: str
    price: float


PRODUCTS = (
    Product("HL-1001", "布艺沙发", "fabric sofa", "furniture", 2699.0),
    Product("HL-1002", "实木餐桌", "oak dining table", "furniture", 1880.0),
    Product("HL-1003", "儿童书桌", "kids' desk", "furniture", 899.0),
    Product("HL-1004", "记忆棉床垫", "foam mattress", "furniture", 1599.0),
    Product("HL-1005", "折叠椅", "folding chair", "furniture", 129.0),
    Product("HL-2001", "落地灯", "floor lamp", "lighting", 239.0),
    Product("HL-2002", "吸顶灯", "ceiling light", "lighting", 329.0),
    Product("HL-3001", "电饭煲", "rice cooker", "kitchen", 399.0),
    Product("HL-3002", "破壁机", "blender", "kitchen", 559.0),
    Product("HL-3003", "空气炸锅", "air fryer", "kitchen", 349.0),
    Product("HL-4001", "扫地机器人", "robot vacuum", "appliance", 1999.0),
    Product("HL-4002", "空气净化器", "air purifier", "appliance", 1299.0),
    Product("HL-4003", "加湿器", "humidifier", "appliance", 199.0),
    Product("HL-5001", "四件套", "bed linen set", "textile", 269.0),
    Product("HL-5002", "遮光窗帘", "blackout curtains", "textile", 318.0),
    Product("HL-5003", "浴巾", "bath towel", "textile", 59.0),
)


@dataclass(frozen=True)
class Line:
    """One article in an order."""

    number: int
    product: Product
    quantity: int


@dataclass
class Order:
    """One purchase; `changed_at` is when its last status came."""

    order_id: str
    person: Person
    ordered_at: datetime
    status: str
    changed_at: datetime
    store: str
    lines: list[Line] = field(default_factory=list)

    @property
    def amount(self) -> float:
        """What the order cost, in yuan."""
        return sum(line.product.price * line.quantity for line in self.lines)


def make_orders(seed: int, people: list[Person], days: int) -> list[Order]:
    """Return all orders by time; their numbers rise with time, as a shop's do."""
    drafts: list[Order] = []
    for person in people:
        rng = stream(seed, "orders", person.number)
        segment = person.segment
        begin, end = (share * days for share in segment.active)
        rate = segment.orders_per_month * rng.gammavariate(6.0, 1 / 6.0)
        count = poisson(rng, rate * (end - begin) / 30)
        if segment.orders_per_month:
            count = max(1, count)
        count = min(count, segment.at_most)
        drafts.extend(_order(rng, person, begin, end) for _ in range(count))
    drafts.sort(key=lambda draft: (draft.ordered_at, draft.person.number))
    for number, draft in enumerate(drafts, start=1):
        draft.order_id = f"SO{draft.ordered_at:%y%m}{number:06d}"
    return drafts


def _order(rng: random.Random, person: Person, begin: float, end: float) -> Order:
    ordered_at = at(int(rng.uniform(begin, end)) + rng.uniform(8.5, 23.4) / 24)
    order = Order(
        order_id="",
        person=person,
        ordered_at=ordered_at,
        status=pick(rng, {"delivered": 0.86, "cancelled": 0.06, "returned": 0.05, "paid": 0.03}),
        changed_at=after(ordered_at, rng.uniform(600, 6_000)),
        store=pick(rng, {"online": 0.8, "上海旗舰店": 0.12, "Shenzhen": 0.08}),
    )
    target = person.segment.mean_amount * rng.gammavariate(3.0, 1 / 3.0)
    while not order.lines or (order.amount < 0.75 * target and len(order.lines) < 5):
        left = max(60.0, target - (order.amount if order.lines else 0.0))
        affordable = [item for item in PRODUCTS if item.price <= 1.3 * left] or [PRODUCTS[-1]]
        product = rng.choice(sorted(affordable, key=lambda item: -item.price)[:6])
        order.lines.append(Line(len(order.lines) + 1, product, 1 + poisson(rng, 0.25)))
    return order
