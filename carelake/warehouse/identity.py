"""Who is who by a person's word: contact points joined or parted, recorded, and undone.

Decisions name contact points by key, never by value. They are recorded, so that every build obeys
them, and a rebuild too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb

from carelake.errors import ConfigError
from carelake.settings import Context
from carelake.warehouse.connection import connect, literal, now_utc, read_pepper, write_lock
from carelake.warehouse.phone import e164
from carelake.warehouse.published import read_only

Action = Literal["merge", "split"]
SHORTEST = 8
"""Letters of a key that are enough to name it."""


@dataclass(frozen=True)
class Point:
    """One contact point as the published marts show it."""

    key: str
    customer_key: str | None
    kind: str
    value_masked: str
    is_shared: bool
    first_seen_at: str


@dataclass(frozen=True)
class Decision:
    """A person's word on who is who; undone ones stay on record."""

    decision_id: str
    decided_at: str
    decided_by: str
    action: str
    reason: str
    n_points: int
    undone_by: str | None


def customer_points(ctx: Context, named: str) -> list[Point]:
    """The contact points of a customer, earliest first.

    Args:
        named: a customer or contact point key (its first letters do), a former key, or an e-mail
            address, number, account or CRM id as a record carries it; `helpdesk:77` is an id of
            another `id_namespace`.

    Raises:
        ConfigError: nobody is found, or several are.
        RunFailed: nothing is published yet.
    """
    with read_only(ctx.home) as con:
        keys = _possible_keys(con, ctx, named)
        begins = named.lower() if re.fullmatch(rf"[0-9a-f]{{{SHORTEST},64}}", named.lower()) else ""
        starts = f"or starts_with(contact_point_key, {literal(begins)})" if begins else ""
        former = f"or starts_with(old_customer_key, {literal(begins)})" if begins else "or false"
        found = con.execute(f"""
            select distinct coalesce(customer_key, ''), is_shared from dim_contact_points
            where contact_point_key in ({keys}) {starts}
            union
            select customer_key, false from customer_redirects where false {former}
        """).fetchall()
        customers = sorted({key for key, is_shared in found if key})
        if not customers and any(is_shared for _, is_shared in found):
            raise ConfigError(
                f"'{named}' is shared by several customers and belongs to none of them"
            )
        if not customers:
            raise ConfigError(
                f"nobody is known by '{named}'; give a key from the marts, an e-mail address, a number with its "
                "country code, an account, a CRM id, or an id of another system as `helpdesk:77`"
            )
        if len(customers) > 1:
            shown = ", ".join(key[:12] for key in customers[:5])
            raise ConfigError(
                f"'{named}' fits {len(customers)} customers ({shown}); give more of it"
            )
        return _points_of(con, customers[0])


def merge(ctx: Context, named: Sequence[str], who: str, reason: str) -> tuple[str, bool]:
    """Say that customers are one person; gives the decision's id and whether it is new.

    Their CRM ids count as one from then on: what was shared by them alone is shared no more.

    Args:
        named: two customers or more, as `customer_points` takes them.

    Raises:
        ConfigError: one of them is unknown, or they are one customer already.
    """
    groups = [customer_points(ctx, each) for each in named]
    if len({points[0].customer_key for points in groups}) < 2:
        raise ConfigError("these are one customer already; see `carelake identity show`")
    keys = {
        point.key
        for points in groups
        for point in points
        if point.kind == "crm" or point.key == point.customer_key
    }
    return _record(ctx, "merge", keys, who, reason)


def split(
    ctx: Context, named: str, parted: Sequence[str], who: str, reason: str
) -> tuple[str, bool]:
    """Say that some of a customer's contact points belong to another person.

    Args:
        named: the customer.
        parted: keys of the contact points that go, or their first letters.

    Raises:
        ConfigError: a point is not the customer's, or nothing would stay.
    """
    points = customer_points(ctx, named)
    keys = set()
    for each in parted:
        found = [point.key for point in points if point.key.startswith(each.lower())]
        if len(each) < SHORTEST or len(found) != 1:
            raise ConfigError(
                f"'{each}' is none of this customer's contact points; `carelake identity show {named}` lists them"
            )
        keys.add(found[0])
    if len(keys) == len(points):
        raise ConfigError("all of the customer's contact points would go; leave one at least")
    return _record(ctx, "split", keys, who, reason)


def undo(ctx: Context, decision_id: str, who: str) -> None:
    """Take a decision back; it stays on record.

    Raises:
        ConfigError: there is no such decision, or it was undone before.
    """
    with write_lock(ctx.home, "identity"), connect(ctx.home) as con:
        found = [each for each in _decisions(con) if each.decision_id == decision_id]
        if not found or found[0].undone_by is not None:
            why = "was undone before" if found else "is not known; see `carelake identity list`"
            raise ConfigError(f"decision '{decision_id}' {why}")
        con.execute(
            f"update care.identity_decisions set undone_at = {literal(now_utc().isoformat())}::timestamptz, "
            f"undone_by = {literal(who)} where decision_id = {literal(decision_id)}"
        )


def decisions(ctx: Context) -> list[Decision]:
    """Every decision, oldest first."""
    with write_lock(ctx.home, "identity"), connect(ctx.home) as con:
        return _decisions(con)


def _decisions(con: duckdb.DuckDBPyConnection) -> list[Decision]:
    rows = con.execute(
        "select decision_id, strftime(decided_at, '%Y-%m-%d %H:%M'), decided_by, action, reason, "
        "len(points), undone_by from care.identity_decisions order by decided_at, decision_id"
    ).fetchall()
    return [Decision(*row) for row in rows]


def _record(
    ctx: Context, action: Action, keys: set[str], who: str, reason: str
) -> tuple[str, bool]:
    if not reason.strip() or not who.strip():
        raise ConfigError("a decision needs a reason (--reason) and a name (--by)")
    points = "[" + ", ".join(literal(key) for key in sorted(keys)) + "]"
    moment = now_utc().isoformat()
    said = "\n".join((action, points, moment))
    decision_id = hashlib.sha256(said.encode()).hexdigest()[:12]
    with write_lock(ctx.home, "identity"), connect(ctx.home) as con:
        same = con.execute(
            "select decision_id from care.identity_decisions "
            f"where action = '{action}' and points = {points} and undone_at is null"
        ).fetchone()
        if same:
            return str(same[0]), False
        con.execute(
            f"insert into care.identity_decisions values ({literal(decision_id)}, "
            f"{literal(moment)}::timestamptz, {literal(who)}, '{action}', {literal(reason)}, {points}, null, null)"
        )
    return decision_id, True


def _possible_keys(con: duckdb.DuckDBPyConnection, ctx: Context, named: str) -> str:
    """SQL list of the keys that a written identifier may have."""
    con.execute(f"set variable pepper = {literal(read_pepper(ctx.home))}")
    lower = named.strip().lower()
    values = [("email", lower), ("crm", named.strip())]
    values += [("handle", f"{world}:{lower.removeprefix('@')}") for world in ("chat", "social")]
    number = e164(named, ctx.settings.default_region)
    if number:
        values.append(("phone", number))
    return ", ".join(
        f"sha256(concat(getvariable('pepper'), '|', '{kind}', '|', {literal(value)}))"
        for kind, value in values
    )


def _points_of(con: duckdb.DuckDBPyConnection, customer_key: str) -> list[Point]:
    rows = con.execute(
        "select contact_point_key, customer_key, kind, value_masked, is_shared, "
        "strftime(first_seen_at, '%Y-%m-%d') from dim_contact_points "
        f"where customer_key = {literal(customer_key)} order by first_seen_at nulls last, contact_point_key"
    ).fetchall()
    return [Point(*row) for row in rows]
