"""Twilio's list of calls as its documentation describes it: newest first, a token per page, Basic login.

Calls have the form of `shared/data/api_fixtures/twilio`.
"""

from __future__ import annotations

import base64
import datetime as dt
import email.utils
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.carelake.sources.faulty_api import Answer, Asked, Service

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
OURS, ANN, CLARA, DORA, ELI = (
    "+14155550199", "+14155550101", "+14155550102", "+14155550103", "+4930901820",
)  # fmt: skip
MOBILE, KEVIN = "+14155550150", "sip:kevin@customer.example"


def sid(number: int) -> str:
    """A call's id."""
    return f"CA{number:032x}"


def at(time: str) -> str:
    """A time as Twilio writes it."""
    return email.utils.format_datetime(moment(time))


def moment(time: str) -> dt.datetime:
    """A time of the day."""
    return dt.datetime.fromisoformat(f"2024-05-01T{time}+00:00")


def ours(time: str) -> str:
    """The same as the raw tables have it."""
    return f"2024-05-01T{time}.000000Z"


def call(
    number: int,
    direction: str,
    caller: str,
    callee: str,
    times: tuple[str, str | None],
    seconds: int | None,
    status: str = "completed",
    **more: Any,
) -> dict[str, Any]:
    """A call of the list."""
    start, end = times
    return {
        "sid": sid(number), "account_sid": ACCOUNT, "parent_call_sid": None, "direction": direction, "from": caller,
        "to": callee, "status": status, "start_time": at(start), "end_time": end and at(end),
        "duration": None if seconds is None else str(seconds), "date_created": at(start), "date_updated": at(end or start),
        "caller_name": None, "answered_by": None, "price": "-0.0130", "price_unit": "USD", **more,
    }  # fmt: skip


def calls() -> list[dict[str, Any]]:
    """The calls, oldest first."""
    return [
        # a customer, put through to Anna within the same second; she took it half a minute later
        call(2, "inbound", ANN, OURS, ("10:00:00", "10:02:30"), 150, caller_name="ANN EXAMPLE"),
        call(1, "outbound-dial", ANN, "client:anna", ("10:00:00", "10:02:30"), 120, parent_call_sid=sid(2)),
        # somebody without a number, and nobody took it
        call(3, "inbound", "+266696687", OURS, ("10:05:00", "10:05:20"), 20),
        call(4, "outbound-dial", "+266696687", "client:anna", ("10:05:02", "10:05:20"), 0, "no-answer", parent_call_sid=sid(3)),
        # Anna calls a customer from her browser
        call(5, "inbound", "client:anna", "", ("10:10:00", "10:11:00"), 60),
        call(6, "outbound-dial", OURS, ELI, ("10:10:01", "10:11:00"), 40, parent_call_sid=sid(5)),
        # a program calls a customer's internet telephone
        call(7, "outbound-api", OURS, KEVIN, ("10:15:00", "10:15:03"), 0, "busy"),
        # two of us
        call(8, "inbound", "client:anna", "", ("10:20:00", "10:20:30"), 30),
        call(9, "outbound-dial", "client:anna", "client:bob", ("10:20:02", "10:20:30"), 25, parent_call_sid=sid(8)),
        # put through to a colleague's mobile
        call(10, "inbound", f"whatsapp:{CLARA}", OURS, ("10:30:00", "10:40:00"), 600),
        call(11, "outbound-dial", CLARA, MOBILE, ("10:30:05", "10:40:00"), 590, parent_call_sid=sid(10)),
        # a machine was at home
        call(12, "outbound-api", OURS, DORA, ("10:35:00", "10:35:12"), 12, answered_by="machine_end_beep"),
    ]  # fmt: skip


PRICE = {"attributes": {"price": "-0.0130"}}
EXPECTED: dict[str, list[dict[str, Any]]] = {
    "call_legs": [
        {"leg_id": sid(2), "call_id": sid(2), "direction": "inbound", "phone": ANN, "customer_name": "ANN EXAMPLE", "from_address": ANN, "to_address": OURS, "status": "answered", "started_at": ours("10:00:00"), "answered_at": ours("10:00:00"), "ended_at": ours("10:02:30"), "talk_seconds": "150", "updated_at": ours("10:02:30"), **PRICE},
        {"leg_id": f"{sid(2)}-{sid(1)}", "call_id": sid(1), "linked_leg_id": sid(2), "direction": "inbound", "phone": ANN, "from_address": ANN, "to_address": "client:anna", "agent": "client:anna", "status": "answered", "started_at": ours("10:00:00"), "answered_at": ours("10:00:30"), "ended_at": ours("10:02:30"), "talk_seconds": "120", "updated_at": ours("10:02:30"), **PRICE},
        {"leg_id": sid(3), "call_id": sid(3), "direction": "inbound", "to_address": OURS, "status": "abandoned", "started_at": ours("10:05:00"), "ended_at": ours("10:05:20"), "updated_at": ours("10:05:20"), **PRICE},
        {"leg_id": f"{sid(3)}-{sid(4)}", "call_id": sid(4), "linked_leg_id": sid(3), "direction": "inbound", "to_address": "client:anna", "agent": "client:anna", "status": "no answer", "started_at": ours("10:05:02"), "ended_at": ours("10:05:20"), "updated_at": ours("10:05:20"), **PRICE},
        {"leg_id": sid(5), "call_id": sid(5), "direction": "outbound", "phone": ELI, "from_address": "client:anna", "agent": "client:anna", "status": "answered", "started_at": ours("10:10:00"), "answered_at": ours("10:10:00"), "ended_at": ours("10:11:00"), "talk_seconds": "60", "updated_at": ours("10:11:00"), **PRICE},
        {"leg_id": f"{sid(5)}-{sid(6)}", "call_id": sid(6), "linked_leg_id": sid(5), "direction": "outbound", "phone": ELI, "from_address": OURS, "to_address": ELI, "agent": "client:anna", "status": "answered", "started_at": ours("10:10:01"), "answered_at": ours("10:10:20"), "ended_at": ours("10:11:00"), "talk_seconds": "40", "updated_at": ours("10:11:00"), **PRICE},
        {"leg_id": sid(7), "call_id": sid(7), "direction": "outbound", "phone": KEVIN, "from_address": OURS, "to_address": KEVIN, "status": "busy", "started_at": ours("10:15:00"), "ended_at": ours("10:15:03"), "updated_at": ours("10:15:03"), **PRICE},
        {"leg_id": sid(8), "call_id": sid(8), "direction": "internal", "from_address": "client:anna", "agent": "client:anna", "status": "answered", "started_at": ours("10:20:00"), "answered_at": ours("10:20:00"), "ended_at": ours("10:20:30"), "talk_seconds": "30", "updated_at": ours("10:20:30"), **PRICE},
        {"leg_id": f"{sid(8)}-{sid(9)}", "call_id": sid(9), "linked_leg_id": sid(8), "direction": "internal", "from_address": "client:anna", "to_address": "client:bob", "agent": "client:anna", "status": "answered", "started_at": ours("10:20:02"), "answered_at": ours("10:20:05"), "ended_at": ours("10:20:30"), "talk_seconds": "25", "updated_at": ours("10:20:30"), **PRICE},
        {"leg_id": sid(10), "call_id": sid(10), "direction": "inbound", "phone": CLARA, "from_address": CLARA, "to_address": OURS, "status": "answered", "started_at": ours("10:30:00"), "answered_at": ours("10:30:00"), "ended_at": ours("10:40:00"), "talk_seconds": "600", "updated_at": ours("10:40:00"), **PRICE},
        {"leg_id": f"{sid(10)}-{sid(11)}", "call_id": sid(11), "linked_leg_id": sid(10), "direction": "inbound", "phone": CLARA, "from_address": CLARA, "to_address": MOBILE, "agent": MOBILE, "status": "answered", "started_at": ours("10:30:05"), "answered_at": ours("10:30:10"), "ended_at": ours("10:40:00"), "talk_seconds": "590", "updated_at": ours("10:40:00"), **PRICE},
        {"leg_id": sid(12), "call_id": sid(12), "direction": "outbound", "phone": DORA, "from_address": OURS, "to_address": DORA, "status": "voicemail", "started_at": ours("10:35:00"), "ended_at": ours("10:35:12"), "updated_at": ours("10:35:12"), **PRICE},
    ],
}  # fmt: skip
"""What is in the raw tables after one extract and load, worked out by hand; no NULL is written."""


@dataclass
class Twilio(Service):
    """An account of seven calls."""

    calls: list[dict[str, Any]] = field(default_factory=calls)
    junk: list[Any] = field(default_factory=list)
    page_size: int = 5
    spoilt = ("call_legs",)

    def __post_init__(self) -> None:
        self.token = "s3cret"

    def before(self) -> None:
        """While the call that was put through to the mobile was not over; a later one was."""
        running = {
            "end_time": None,
            "duration": None,
            "price": None,
            "date_updated": at("10:30:05"),
        }
        for one in self.calls:
            if one["sid"] in (sid(10), sid(11)):
                one |= {**running, "status": "in-progress" if one["sid"] == sid(10) else "ringing"}

    def after(self) -> None:
        """As `calls` has it."""
        self.calls = calls()

    def expire(self) -> None:
        """A key does not run out."""

    def spoil(self) -> int:
        """Put records of no known form on every first page; gives how many are no object there."""
        odd = {"sid": {"a": 1}, "from": 3, "status": [], "start_time": {}, "duration": "long"}
        self.junk = ["no record", 17, {"sid": None}, {}, odd]
        return 2

    def answer(self, asked: Asked) -> Answer:
        login = base64.b64encode(b"SK0123:s3cret").decode()
        if asked.headers.get("Authorization") != f"Basic {login}":
            return refused(401, 20003, "Authenticate")
        if asked.path != PATH:
            return refused(404, 20404, f"The requested resource {asked.path} was not found")
        assert asked.query["PageSize"] == "1000"
        token, start = asked.query.get("PageToken"), 0
        if token is None:
            found = self._within(asked.query)
        elif token in self.places:
            found, start = self.places[token]
        else:
            return refused(400, 20001, "Invalid PageToken")
        end, page = start + self.page_size, int(asked.query.get("Page", 0)) + 1
        following = {**asked.query, "Page": page, "PageToken": self.place((found, end))}
        return Answer(
            {
                "calls": found[start:end] + ([] if start else self.junk),
                "next_page_uri": f"{PATH}?{urlencode(following)}" if end < len(found) else None,
                "previous_page_uri": None,
                "page": page - 1,
                "page_size": 1000,
            }
        )

    def _within(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """The calls that began within the window; its words read `StartTime>=` and `StartTime<=`."""
        since = dt.datetime.fromisoformat(query.get("StartTime>", "0001-01-01T00:00:00+00:00"))
        until = dt.datetime.fromisoformat(query.get("StartTime<", "9999-01-01T00:00:00+00:00"))
        began = [(email.utils.parsedate_to_datetime(one["start_time"]), one) for one in self.calls]
        return [one for start, one in reversed(began) if since <= start <= until]


def refused(status: int, code: int, message: str) -> Answer:
    """An error as Twilio writes it."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    return Answer({"code": code, "message": message, "more_info": more, "status": status}, status)
