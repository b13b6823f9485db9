"""The CRM's contacts: its own, shop guests, and doubles that were merged.

A contact holds one address and one number. What orders name beyond them came in as a double of the
contact, which somebody merged, as it goes in a CRM.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from carelake.sample.calendar import START
from carelake.sample.company import Company
from carelake.sample.delivery import Identifier
from carelake.sample.live.known import Delivered
from carelake.sample.people import Person
from carelake.sample.shopping import Order
from carelake.sample.truth import joined

SOURCES = ("crm_contacts", "crm_cases", "orders")
BEFORE = START - timedelta(days=1)
_GUEST, _DOUBLE = 800_000_000, 900_000_000


@dataclass(frozen=True)
class Contact:
    """One contact of the CRM.

    Attributes:
        number: unique; ids are made of it.
        person: who it is.
        email: empty without.
        phone: empty without.
        created_at: when it was entered.
        changed_at: when it was changed last, apart from its deletion.
        master: number of the contact it was merged into.
        deleted_at: when it was deleted.
    """

    number: int
    person: Person
    email: str
    phone: str
    created_at: datetime
    changed_at: datetime
    master: int | None = None
    deleted_at: datetime | None = None


class Directory:
    """Who the CRM knows, and whom an order or a caller's number belongs to."""

    def __init__(self, company: Company, delivered: Delivered) -> None:
        """Enter the contacts, then the guests and doubles that orders make."""
        self.contacts: list[Contact] = []
        self._orders: dict[str, int] = {}
        self._shared, self._leader = joined(delivered.kept(*SOURCES))
        self._holder: dict[Identifier, Contact] = {}
        self._carried: dict[int, set[Identifier]] = {}
        for person in company.people:
            if person.crm_id:
                self._enter(company, delivered, person, person.crm_id)
        for order in company.orders:
            self._buy(order, delivered.who("orders", order.order_id))

    def buyer(self, order: Order) -> int | None:
        """Return the number of the contact an order belongs to."""
        return self._orders.get(order.order_id)

    def caller(self, phone: str, moment: datetime) -> int | None:
        """Return the one contact with this number at that time."""
        holder = self._holder.get(self._root(("phone", phone)))
        return holder.number if holder and holder.created_at <= moment else None

    def _root(self, point: Identifier) -> Identifier:
        return self._leader.get(point, point)

    def _enter(self, company: Company, delivered: Delivered, person: Person, crm_id: str) -> None:
        record = delivered.record("crm_contacts", crm_id)
        assert record is not None
        who, is_gone = dict(record.who), delivered.is_gone("crm_contacts", crm_id)
        contact = Contact(
            number=int(crm_id), person=person, email=who.get("email", ""),
            phone=who.get("phone", ""), created_at=BEFORE,
            changed_at=datetime.fromisoformat(record.version).replace(tzinfo=None),
            deleted_at=company.end - timedelta(hours=1) if is_gone else None,
        )  # fmt: skip
        self.contacts.append(contact)
        self._holder[self._root(("crm", crm_id))] = contact
        # what a deleted contact said is gone with it
        self._carried[contact.number] = set() if is_gone else set(record.who)

    def _buy(self, order: Order, who: dict[str, str]) -> None:
        own = [point for point in who.items() if point not in self._shared]
        if not own:
            return
        root = self._root(own[0])
        holder = self._holder.get(root)
        carried = self._carried.setdefault(holder.number, set()) if holder else set()
        new = {kind: value for kind, value in own if kind != "crm" and (kind, value) not in carried}
        if holder is None or new:
            serial = int(order.order_id[-6:])
            entered = Contact(
                number=serial + (_DOUBLE if holder else _GUEST), person=order.person,
                email=new.get("email", ""), phone=new.get("phone", ""),
                created_at=order.ordered_at, changed_at=order.ordered_at,
                master=holder.number if holder else None,
            )  # fmt: skip
            self.contacts.append(entered)
            holder = holder or self._holder.setdefault(root, entered)
            self._carried.setdefault(holder.number, set()).update(new.items())
        self._orders[order.order_id] = holder.number
