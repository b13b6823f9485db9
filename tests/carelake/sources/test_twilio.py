"""Kind `twilio` beyond what all kinds are tried with: running calls, windows, whose end is whose."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from carelake.errors import ConfigError
from carelake.source_kinds.twilio import OURS
from carelake.source_list import SourceList
from carelake.warehouse.connection import literal
from carelake.warehouse.shapes import SHAPES, make_macros
from carelake.window import Window
from tests.carelake.sources.faulty_api import serving
from tests.carelake.sources.live.twilio import ANN, CLARA, ELI, MOBILE, Twilio, call, sid
from tests.carelake.sources.live.twilio import OURS as NUMBER
from tests.carelake.sources.services import Company

BLOCK = """
sources:
  - name: hotline
    kind: twilio
    connection: twilio
    twilio: {account: ACCOUNT, agents: 'PATTERN'}
"""
SIP = "sip:1001@acme.sip.twilio.com"
TIMES = ("10:00:00", "10:01:00")
Rows = dict[str, dict[str, Any]]


def legs(*calls: dict[str, Any], agents: str = OURS, joined_by: str = "dial") -> Rows:
    """What the shape makes of calls in one file, by the call's id; without what is NULL."""
    text = (SHAPES / "twilio/calls.sql").read_text(encoding="utf-8")
    text = text.replace("$agents", literal(agents)).replace("$joined_by", literal(joined_by))
    with duckdb.connect() as con:
        # times must not depend on the zone of whoever loads
        con.execute("set TimeZone = 'Asia/Shanghai'")
        make_macros(con)
        con.execute("create table texts (record json)")
        con.executemany("insert into texts values (?)", [[json.dumps(one)] for one in calls])
        query = f"with records as (select rowid + 1 as row_number, record from texts) select * from ({text})"
        columns = [column[0] for column in con.execute(query).description or []]
        found = [dict(zip(columns, row, strict=True)) for row in con.execute(query).fetchall()]
    return {row["call_id"]: {k: v for k, v in row.items() if v is not None} for row in found}


@pytest.fixture
def service() -> Iterator[Twilio]:
    """The account, listening."""
    made = Twilio()
    with serving(made):
        yield made


@pytest.fixture
def company(service: Twilio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Company:
    """The block of the page on it."""
    return Company("twilio", tmp_path, service.url, monkeypatch)


def test_a_call_that_is_not_over_makes_no_row_and_comes_when_it_is(
    service: Twilio, company: Company
) -> None:
    service.before()
    company.extract()
    company.load()
    first = {row["call_id"] for row in company.rows()["call_legs"]}
    assert len(first) == 10 and not {sid(10), sid(11)} & first
    service.after()
    # the call's end is no new beginning: it comes only because each reading begins before it
    assert [result.outcome for result in company.extract()] == ["extracted"]
    company.load()
    assert {sid(10), sid(11)} <= {row["call_id"] for row in company.rows()["call_legs"]}
    asked = service.requests[-1].query
    assert asked["StartTime>"] == "2024-04-30T09:35:00Z" and "StartTime<" not in asked


def test_a_window_is_asked_for_by_its_beginning_and_end(service: Twilio, company: Company) -> None:
    day = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
    window = Window(
        day + dt.timedelta(hours=10, minutes=20), day + dt.timedelta(hours=10, minutes=31)
    )
    company.extract(window)
    assert "StartTime%3E=2024-05-01T10%3A20%3A00Z" in service.requests[0].target
    assert service.requests[0].query["StartTime<"] == "2024-05-01T10:31:00Z"
    company.load()
    found = {row["call_id"] for row in company.rows()["call_legs"]}
    assert found == {sid(8), sid(9), sid(10), sid(11)}


def test_a_leg_without_its_parent_is_never_newer_than_the_same_leg_with_it() -> None:
    first = call(1, "inbound", ANN, NUMBER, TIMES, 60)
    dialled = call(2, "outbound-dial", ANN, MOBILE, TIMES, 30, parent_call_sid=sid(1))
    together, alone = legs(first, dialled)[sid(2)], legs(dialled)[sid(2)]
    assert together["agent"] == MOBILE and together["direction"] == "inbound"
    assert alone["leg_id"] == together["leg_id"] and "agent" not in alone and "phone" not in alone
    assert alone["updated_at"] < together["updated_at"] == "2024-05-01T10:01:00Z"
    to_ours = call(2, "outbound-dial", ANN, SIP, TIMES, 30, parent_call_sid=sid(1))
    known = legs(to_ours)[sid(2)]
    assert (known["direction"], known["phone"], known["agent"]) == ("inbound", ANN, SIP)


def test_a_leg_that_came_running_and_over_in_one_file_is_over() -> None:
    over = call(1, "inbound", ANN, NUMBER, TIMES, 60)
    running = {**over, "status": "in-progress", "end_time": None, "duration": None}
    assert legs(running, over)[sid(1)]["ended_at"] == "2024-05-01T10:01:00Z"
    assert legs(running) == {}


def test_whose_end_is_whose() -> None:
    ours_first = (
        call(1, "inbound", SIP, f"sip:{ELI}@acme.sip.twilio.com", TIMES, 60),
        call(2, "outbound-dial", NUMBER, ELI, TIMES, 50, parent_call_sid=sid(1)),
    )
    for leg in legs(*ours_first).values():
        assert (leg["direction"], leg["phone"], leg["agent"]) == ("outbound", ELI, SIP)
    program_first = (
        call(1, "outbound-api", NUMBER, "client:anna", TIMES, 60),
        call(2, "outbound-dial", NUMBER, ELI, TIMES, 50, parent_call_sid=sid(1)),
    )
    for leg in legs(*program_first).values():
        assert (leg["direction"], leg["phone"], leg["agent"]) == ("outbound", ELI, "client:anna")
    customer_first = (
        call(1, "outbound-api", NUMBER, ELI, TIMES, 60),
        call(2, "outbound-dial", NUMBER, MOBILE, TIMES, 50, parent_call_sid=sid(1)),
    )
    found = legs(*customer_first)
    assert {leg["phone"] for leg in found.values()} == {ELI}
    assert "agent" not in found[sid(1)] and found[sid(2)]["agent"] == MOBILE
    # nobody was called: the colleague did not pick up
    nobody = legs(call(1, "outbound-api", NUMBER, "client:anna", TIMES, 0, "no-answer"))[sid(1)]
    assert (nobody["direction"], nobody["status"]) == ("internal", "no answer")


@pytest.mark.parametrize(
    ("direction", "ours", "phone"),
    [("trunking-originating", "inbound", ANN), ("trunking-terminating", "outbound", NUMBER)],
)
def test_trunks_are_answered_by_the_exchange_behind_them(
    direction: str, ours: str, phone: str
) -> None:
    leg = legs(call(1, direction, ANN, NUMBER, TIMES, 45))[sid(1)]
    assert (leg["direction"], leg["phone"], leg["status"]) == (ours, phone, "answered")
    assert leg["answered_at"] == "2024-05-01T10:00:15Z"


def test_who_answers_in_conferences_answers() -> None:
    one = call(1, "inbound", ANN, NUMBER, TIMES, 60)
    assert legs(one)[sid(1)]["status"] == "abandoned"
    in_conference = legs(one, joined_by="conference")[sid(1)]
    assert (in_conference["status"], in_conference["talk_seconds"]) == ("answered", "60")


@pytest.mark.parametrize(
    "withheld", ["+266696687", "266696687", "+7378742833", "Anonymous", "Restricted", ""]
)
def test_who_withholds_a_number_shares_it_with_nobody(withheld: str) -> None:
    leg = legs(call(1, "inbound", withheld, NUMBER, TIMES, 60))[sid(1)]
    assert leg["direction"] == "inbound" and not {"phone", "from_address", "handle"} & set(leg)


def test_visitors_that_call_by_a_browser_are_customers_where_the_pattern_says_so() -> None:
    visitor = "client:visitor4915112345678"
    leg = legs(call(1, "inbound", visitor, NUMBER, TIMES, 60), agents="client:agent_.+")[sid(1)]
    # its digits are no number
    assert (leg["direction"], leg["handle"]) == ("inbound", visitor)
    assert not {"phone", "from_address"} & set(leg)
    assert legs(call(1, "inbound", f"whatsapp:{CLARA}", NUMBER, TIMES, 9))[sid(1)]["phone"] == CLARA


@pytest.mark.parametrize(
    ("account", "pattern", "said"),
    [
        ("SK0123456789abcdef0123456789abcdef", "x", "twilio.account"),
        ("AC0123456789abcdef0123456789abcdef", "(", "is no pattern"),
    ],
)
def test_a_wrong_block_is_refused(account: str, pattern: str, said: str, tmp_path: Path) -> None:
    text = BLOCK.replace("ACCOUNT", account).replace("PATTERN", pattern)
    (tmp_path / "sources.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        SourceList.load(tmp_path / "sources.yml")
