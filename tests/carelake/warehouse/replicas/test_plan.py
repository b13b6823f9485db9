"""Which tables have to travel, how they are called there, and what an audit lets through."""

from __future__ import annotations

from decimal import Decimal

import pytest

from carelake.errors import RunFailed
from carelake.warehouse.replicas import audit, mysql, postgresql
from carelake.warehouse.replicas.columns import Column, Kind
from carelake.warehouse.replicas.marts import Held, Mart, changes

MOMENT = Column("ordered_at", Kind.moment, "ordered_at", "timestamp")


def mart(parts: dict[str, str], comment: str = "") -> Mart:
    dated = None if "" in parts else MOMENT
    return Mart("orders", "r", "orders", (MOMENT,), comment, parts, dated)


def held(of: Mart, parts: dict[str, str]) -> dict[str, Held]:
    return {of.name: Held(of.target, of.shape, parts)}


def test_only_months_that_changed_travel_and_a_month_that_is_gone_is_left_behind() -> None:
    now = mart({"2024-01": "5:1", "2024-02": "6:9", "2024-03": "1:1"})
    before = held(now, {"2023-12": "4:4", "2024-01": "5:1", "2024-02": "6:2"})
    (change,) = changes([now], before)
    assert (change.send, change.keep) == (("2024-02", "2024-03"), ("2024-01",))
    assert change.label == "orders (2 of 3 months)" and change.rows() == 7
    assert changes([now], held(now, now.parts)) == []
    (emptied,) = changes([mart({"2024-01": "5:1"})], held(now, now.parts))
    assert (emptied.send, emptied.keep) == ((), ("2024-01",))


def test_another_shape_or_another_division_travels_as_a_whole() -> None:
    now = mart({"2024-01": "5:1", "2024-02": "6:9"})
    assert changes([now], {})[0].send is None
    assert changes([now], held(mart(now.parts, "New words"), now.parts))[0].send is None
    assert changes([now], held(now, {"": "11:10"}))[0].send is None
    assert changes([mart({"": "11:10"})], held(mart({"": "0:0"}), now.parts))[0].send is None


@pytest.mark.parametrize("dialect", [postgresql.DIALECT, mysql.DIALECT], ids=["pg", "mysql"])
def test_names_that_do_not_fit_are_cut_and_stay_different(dialect: audit.Phrases) -> None:
    name = "满意度" * 30
    found = {dialect.named(name + str(number)) for number in range(50)}
    assert len(found) == 50
    assert all(len(n.encode() if dialect.in_bytes else n) <= dialect.longest for n in found)
    for kept in ("select", "门店", "a" * dialect.longest, 'a "b"'):
        assert dialect.named(kept) == kept
    assert dialect.named("😀") != "😀" and dialect.named("blank ") != "blank "
    assert "`" not in dialect.named("a `b`")


def test_the_audit_compares_exactly_except_for_binary_floats() -> None:
    exact, floats = audit.Check("sum", "", ""), audit.Check("ratio", "", "", "slack")
    audit.compare(
        "t", [exact, floats], [Decimal("1.50"), 1e9 + 1e-4], [0, 1.0], [Decimal("1.5"), 1e9]
    )
    for here, there in ((1, 2), (None, 0), (Decimal("0.1"), Decimal("0.1000001"))):
        with pytest.raises(RunFailed, match="audit: t: sum is"):
            audit.compare("t", [exact], [here], [0], [there])
