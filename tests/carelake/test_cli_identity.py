"""`carelake identity`: a person's word joins and parts customers, outlives a rebuild, and is taken back."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from tests.commands import carelake, rows

SOURCES = """
sources:
  - name: contacts
    kind: files
    path: contacts.csv
    format: csv
    entity: customers
    columns: {customer_id: id, customer_name: name, email: email, phone: phone}
  - name: orders
    kind: files
    path: orders.csv
    format: csv
    entity: orders
    columns: {order_id: nr, customer_id: id, email: email, ordered_at: at, amount: amount}
  - name: tickets
    kind: files
    path: tickets.csv
    format: csv
    entity: conversations
    channel: email
    id_namespace: helpdesk
    columns: {conversation_id: nr, customer_id: requester, email: email, opened_at: at}
"""
CONTACTS = """id,name,email,phone
C1,Ada Li,ada@example.org,+8613800138001
C2,Ada Li,ada@example.org,+8613800138002
C3,Bo Wu,bo@example.org,+8613800138003
"""
ORDERS = """nr,id,email,at,amount
1,C1,,2024-05-01 10:00:00,10
2,C2,,2024-05-02 10:00:00,20
3,,ada@example.org,2024-05-03 10:00:00,40
4,C3,bo@example.org,2024-05-04 10:00:00,80
"""
TICKETS = """nr,requester,email,at
T1,C1,bo@example.org,2024-05-05 10:00:00
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    company = tmp_path / "company"
    company.mkdir()
    (company / "sources.yml").write_text(textwrap.dedent(SOURCES), encoding="utf-8")
    (company / "contacts.csv").write_text(CONTACTS, encoding="utf-8")
    (company / "orders.csv").write_text(ORDERS, encoding="utf-8")
    (company / "tickets.csv").write_text(TICKETS, encoding="utf-8")
    return {
        "CARELAKE_HOME": str(tmp_path / "home"),
        "CARELAKE_SOURCES": str(company / "sources.yml"),
    }


def _spent(env: dict[str, str]) -> list[float]:
    query = "select sum(amount) as amount from fct_orders where customer_key is not null group by customer_key"
    return sorted(float(row["amount"]) for row in rows(query, env))


@pytest.mark.slow
def test_a_persons_word_joins_and_parts_customers_and_outlives_a_rebuild(
    env: dict[str, str],
) -> None:
    def told(*arguments: str, exit_code: int = 0) -> str:
        done = carelake("identity", *arguments, env=env, exit_code=exit_code)
        return done.stdout + done.stderr

    carelake("run", env=env)
    # one address with two ids of the CRM tells nobody from nobody: order 3 is no customer's
    assert _spent(env) == [10, 20, 80]
    # C1 of the helpdesk is Bo, whom the CRM calls C3: two systems' ids are not held against each other
    joined = "select amount from fct_conversations join fct_orders using (customer_key)"
    assert [float(row["amount"]) for row in rows(joined, env)] == [80]
    assert "is shared by several" in told("show", "ada@example.org", exit_code=2)
    assert "nobody is known by" in told("show", "nobody@example.org", exit_code=2)
    assert "a***@" not in told("show", "helpdesk:C1") and "b***@" in told("show", "helpdesk:C1")
    assert "+86***01" in told("show", "C1") and "a***@" not in told("show", "C1")

    # the same name is not enough to believe it, but enough to ask
    assert "0 pairs" in told("propose")
    asked = told("propose", "--least", "0.001")
    assert "1 pairs may be one person; nothing was joined" in asked
    assert "name the same" in asked and "+86***01" in asked and "ada@" not in asked.lower()

    said = told("merge", "C1", "+86 138 0013 8002", "--reason", "twice in the CRM", "--by", "eve")
    assert "one customer from now on" in said
    assert "says so already" in told("merge", "C2", "C1", "--reason", "again", "--by", "eve")
    carelake("run", env=env)
    assert _spent(env) == [70, 80]
    assert "one customer already" in told("merge", "C1", "C2", "--reason", "x", exit_code=2)
    assert "a***@example.org" in told("show", "C2")

    (number,) = re.findall(r"([0-9a-f]{16}) +phone", told("show", "C3").replace("|", " "))
    assert "none of this customer's" in told(
        "split", "C3", "--point", "0000000000", "--reason", "x", exit_code=2
    )
    told("split", "C3", "--point", number, "--reason", "her father's", "--by", "eve")
    merged = re.search(r"[0-9a-f]{12}", said)
    assert merged is not None
    told("undo", merged[0], "--by", "mia")
    assert "was undone before" in told("undo", merged[0], exit_code=2)
    carelake("run", env=env)
    assert _spent(env) == [10, 20, 80]
    points = "select customer_key, count(*) as n from dim_contact_points where kind <> 'crm' group by all"
    parted = sorted(row["n"] for row in rows(points, env) if row["customer_key"])
    assert parted == [1, 1, 1, 1], "C1, C2, C3 and whoever has the number"
    before = carelake("fingerprint", env=env).stdout
    carelake("rebuild", env=env)
    assert carelake("fingerprint", env=env).stdout == before
    listed = told("list")
    assert "twice in the CRM" in listed and "mia" in listed and "her father's" in listed
