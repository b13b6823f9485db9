"""Zoho CRM 8 as its documentation describes it: `If-Modified-Since`, page tokens, 204 and 304.

The envelope is that of `shared/data/api_fixtures/zoho_crm`; the records of the modules beside it are made by
the documentation's field names.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from carelake.source_kinds.zoho import EVERYWHERE, FIELDS
from tests.carelake.sources.faulty_api import Answer, Asked, Service

AMY, BO, GONE, FIRM = (
    "4150868000000111001",
    "4150868000000111002",
    "4150868000000111003",
    "4150868000000222001",
)
CASE, OWNER = "4150868000000333001", "4150868000000225013"
OWNED = {"name": "Patricia Boyle", "id": OWNER, "email": "patricia@shop.example"}


def at(minute: int) -> str:
    """A time as Zoho writes it: in the zone of the user."""
    return f"2024-05-01T15:{minute:02d}:00+05:30"


def everywhere(created: int, modified: int) -> dict[str, Any]:
    """What every record has."""
    return {"Owner": OWNED, "Created_Time": at(created), "Modified_Time": at(modified)}


def records() -> dict[str, list[dict[str, Any]]]:
    """What the organisation holds, by module."""
    return {
        "Contacts": [
            {"id": AMY, "Full_Name": "Amy 王", "Email": "amy@example.org", "Phone": "+91 22 5550 0001", "Mobile": None, "Mailing_City": "Pune", "Mailing_Country": "India", "Account_Name": {"name": "Firm", "id": FIRM}, **everywhere(30, 35)},
            {"id": BO, "Full_Name": "Bo", "Email": None, "Phone": None, "Mobile": "+91 98 5550 0002", "Mailing_City": None, "Mailing_Country": None, "Account_Name": None, **everywhere(31, 36)},
            {"id": GONE, "Full_Name": "Gone", "Email": "gone@example.org", "Phone": None, "Mobile": None, "Mailing_City": None, "Mailing_Country": None, "Account_Name": None, **everywhere(31, 37)},
        ],
        "Accounts": [
            {"id": FIRM, "Account_Name": "Firm", "Phone": "+91 22 5550 0099", "Billing_City": "Pune", "Billing_Country": "India", **everywhere(30, 35)},
        ],
        "Calls": [
            {"id": "4150868000000444001", "Subject": "About the case", "Call_Type": "Inbound", "Call_Status": "Completed", "Call_Start_Time": at(41), "Call_Duration_in_seconds": 125, "Who_Id": {"name": "Amy 王", "id": AMY}, "What_Id": {"name": "Broken lamp", "id": CASE}, "$se_module": "Cases", "Description": "Asked when", **everywhere(41, 44)},
            {"id": "4150868000000444002", "Subject": "Missed", "Call_Type": "Missed", "Call_Status": "Completed", "Call_Start_Time": at(42), "Call_Duration_in_seconds": 0, "Who_Id": {"name": "Bo", "id": BO}, "What_Id": None, "$se_module": None, "Description": None, **everywhere(42, 42)},
            {"id": "4150868000000444003", "Subject": "Next week", "Call_Type": "Outbound", "Call_Status": "Scheduled", "Call_Start_Time": "2024-05-08T15:00:00+05:30", "Call_Duration_in_seconds": None, "Who_Id": {"name": "Bo", "id": BO}, "What_Id": None, "$se_module": None, "Description": None, **everywhere(43, 43)},
        ],
        "Tasks": [
            {"id": "4150868000000555001", "Subject": "Email: your offer", "Status": "Completed", "Due_Date": "2024-05-02", "Closed_Time": at(46), "Who_Id": {"name": "Bo", "id": BO}, "What_Id": None, "$se_module": None, "Description": "Sent it", **everywhere(45, 46)},
            {"id": "4150868000000555002", "Subject": "Prepare offer", "Status": "Not Started", "Due_Date": None, "Closed_Time": None, "Who_Id": None, "What_Id": None, "$se_module": None, "Description": None, **everywhere(45, 45)},
        ],
        "Cases": [
            {"id": CASE, "Case_Number": "11", "Subject": "Broken lamp", "Status": "Closed", "Case_Origin": "Web", "Case_Reason": "Other", "Type": "Problem", "Related_To": {"name": "Amy 王", "id": AMY}, "Account_Name": {"name": "Firm", "id": FIRM}, "Reported_By": "Amy", "Email": "amy@example.org", "Phone": None, "Description": "It flickers", **everywhere(40, 50)},
        ],
        "Deals": [
            {"id": "4150868000000666001", "Deal_Name": "Lamps", "Amount": 1200, "Stage": "Closed Won", "Probability": 100, "Closing_Date": "2024-04-30", "Contact_Name": {"name": "Amy 王", "id": AMY}, "Account_Name": {"name": "Firm", "id": FIRM}, **everywhere(30, 30)},
            {"id": "4150868000000666002", "Deal_Name": "More", "Amount": 99.5, "Stage": "Closed Lost", "Probability": 0, "Closing_Date": "2024-04-30", "Contact_Name": None, "Account_Name": {"name": "Firm", "id": FIRM}, **everywhere(30, 31)},
        ],
    }  # fmt: skip


USERS = [
    {"id": OWNER, "full_name": "Patricia Boyle", "email": "patricia@shop.example", "phone": None, "role": {"name": "Care", "id": "1"}, "Reporting_To": {"name": "Ms Head", "id": "2"}, "Modified_Time": at(0)},
]  # fmt: skip

EXPECTED: dict[str, list[dict[str, Any]]] = {
    "customers": [
        {"customer_id": AMY, "customer_name": "Amy 王", "email": "amy@example.org", "phone": "+91 22 5550 0001", "city": "Pune", "country": "India", "agent": OWNER, "created_at": "2024-05-01T10:00:00.000000Z", "updated_at": "2024-05-01T10:05:00.000000Z"},
        {"customer_id": BO, "customer_name": "Bo", "phone": "+91 98 5550 0002", "agent": OWNER, "created_at": "2024-05-01T10:01:00.000000Z", "updated_at": "2024-05-01T10:06:00.000000Z"},
        {"customer_id": GONE, "updated_at": "2024-05-01T10:20:00.000000Z", "is_deleted": "true"},
        {"customer_id": FIRM, "customer_name": "Firm", "phone": "+91 22 5550 0099", "city": "Pune", "country": "India", "agent": OWNER, "created_at": "2024-05-01T10:00:00.000000Z", "updated_at": "2024-05-01T10:05:00.000000Z"},
    ],
    "conversations": [
        {"conversation_id": CASE, "channel": "email", "status": "closed", "category": "Problem", "subject": "Broken lamp", "customer_id": AMY, "customer_name": "Amy", "email": "amy@example.org", "agent": OWNER, "opened_at": "2024-05-01T10:10:00.000000Z", "closed_at": "2024-05-01T10:20:00.000000Z", "updated_at": "2024-05-01T10:20:00.000000Z"},
    ],
    "communications": [
        {"communication_id": "4150868000000444001", "conversation_id": CASE, "channel": "phone", "direction": "inbound", "customer_id": AMY, "agent": OWNER, "sent_at": "2024-05-01T10:11:00.000000Z", "subject": "About the case", "body": "Asked when", "duration_seconds": "125", "updated_at": "2024-05-01T10:14:00.000000Z"},
        {"communication_id": "4150868000000444002", "channel": "phone", "direction": "inbound", "customer_id": BO, "agent": OWNER, "sent_at": "2024-05-01T10:12:00.000000Z", "subject": "Missed", "status": "missed", "duration_seconds": "0", "updated_at": "2024-05-01T10:12:00.000000Z"},
        {"communication_id": "4150868000000444003", "channel": "phone", "direction": "outbound", "customer_id": BO, "agent": OWNER, "sent_at": "2024-05-08T09:30:00.000000Z", "subject": "Next week", "updated_at": "2024-05-01T10:13:00.000000Z", "is_deleted": "true"},
        {"communication_id": "4150868000000555001", "channel": "email", "direction": "outbound", "customer_id": BO, "agent": OWNER, "sent_at": "2024-05-01T10:16:00.000000Z", "subject": "Email: your offer", "body": "Sent it", "updated_at": "2024-05-01T10:16:00.000000Z"},
    ],
    "orders": [
        {"order_id": "4150868000000666001", "customer_id": AMY, "ordered_at": "2024-04-30T00:00:00.000000Z", "amount": "1200", "currency": "INR", "attributes": {"Currency": "INR"}, "status": "won", "updated_at": "2024-05-01T10:00:00.000000Z"},
        {"order_id": "4150868000000666002", "customer_id": FIRM, "ordered_at": "2024-04-30T00:00:00.000000Z", "amount": "99.5", "currency": "INR", "attributes": {"Currency": "INR"}, "status": "void", "updated_at": "2024-05-01T10:01:00.000000Z"},
    ],
    "agents": [
        {"agent_id": OWNER, "agent_name": "Patricia Boyle", "email": "patricia@shop.example", "team": "Care", "manager": "Ms Head", "updated_at": "2024-05-01T09:30:00.000000Z"},
    ],
}  # fmt: skip
"""What is in the raw tables after one extract and load, worked out by hand; no NULL is written."""


@dataclass
class Zoho(Service):
    """An organisation of a handful of records."""

    records: dict[str, list[dict[str, Any]]] = field(default_factory=records)
    deleted: list[dict[str, Any]] = field(default_factory=list)
    junk: list[Any] = field(default_factory=list)
    spoilt = ("customers", "conversations", "communications", "orders", "agents")

    def __post_init__(self) -> None:
        self.after()

    def before(self) -> None:
        """Before a contact was deleted."""
        self.records, self.deleted = records(), []

    def after(self) -> None:
        """A contact is in the recycle bin, and in its module no more."""
        self.records["Contacts"] = [r for r in self.records["Contacts"] if r["id"] != GONE]
        gone = {"id": GONE, "display_name": "Gone", "type": "recycle", "deleted_time": at(50)}
        self.deleted = [{**gone, "deleted_by": {"name": "Patricia Boyle", "id": OWNER}}]

    def spoil(self) -> int:
        """Put records of no known form on every first page; gives how many are no object there."""
        odd = {
            "id": {"a": 1},
            "Owner": "nobody",
            "Email": 7,
            "Who_Id": [],
            "role": 3,
            "Modified_Time": {},
        }
        self.junk = ["no record", 17, {"id": None}, {}, odd]
        return 2 * (len(self.records) + 1)

    def log_in(self, asked: Asked) -> Answer | None:
        if asked.path != "/oauth/v2/token":
            return None
        form = asked.form
        if form.get("client_secret") != "s3cret" or form.get("refresh_token") != "r3fresh":
            return Answer({"error": "invalid_code"})  # with HTTP 200
        self.tokens += 1
        self.token = f"1000.token-{self.tokens}"
        return Answer({"access_token": self.token, "expires_in": 3600, "token_type": "Bearer"})

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != f"Zoho-oauthtoken {self.token}":
            return refused(401, "INVALID_TOKEN", "invalid oauth token")
        _, _, _, module, *more = asked.path.split("/")
        if module == "users":
            return self._numbered(asked, "users", USERS)
        if module not in self.records:
            return refused(400, "INVALID_MODULE", "the module name given seems to be invalid")
        if more == ["actions", "count"]:
            return Answer({"count": len(self.records[module])})
        since = asked.headers.get("If-Modified-Since")
        if more == ["deleted"]:
            found = self.deleted if module == "Contacts" else []
            return self._numbered(asked, "data", changed(found, since, "deleted_time"))
        return self._listed(asked, module, since)

    def _listed(self, asked: Asked, module: str, since: str | None) -> Answer:
        fields = asked.query.get("fields", "").split(",")
        if fields == [""] or len(fields) > 50:
            return refused(
                400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing"
            )
        known = {*FIELDS[module.lower()], *EVERYWHERE, "Currency"}
        assert known >= set(fields), set(fields) - known
        names = {"id", "$se_module", *fields}
        if "page_token" in asked.query:
            rest = self.places.get(asked.query["page_token"])
            if rest is None:
                return refused(400, "INVALID_DATA", "the page token is invalid or has expired")
            found, start = rest
        else:
            everything = [
                {k: v for k, v in {**r, "Currency": "INR"}.items() if k in names}
                for r in self.records[module]
            ]
            found, start = changed(everything, since, "Modified_Time"), 0
            found.sort(key=lambda r: str(r["id"]))
        if not found:
            return Answer(None, 304 if since else 204)
        end = start + self.page_size
        is_more = end < len(found)
        token = self.place((found, end)) if is_more else None
        info = {"per_page": self.page_size, "next_page_token": token, "more_records": is_more}
        return Answer({"data": found[start:end] + ([] if start else self.junk), "info": info})

    def _numbered(self, asked: Asked, key: str, found: list[dict[str, Any]]) -> Answer:
        page = int(asked.query.get("page", 1))
        start = (page - 1) * self.page_size
        shown = found[start : start + self.page_size]
        if not shown:
            return Answer(None, 204)
        info = {"page": page, "more_records": start + self.page_size < len(found)}
        junk = self.junk if key == "users" and page == 1 else []
        return Answer({key: shown + junk, "info": info})


def changed(found: list[dict[str, Any]], since: str | None, name: str) -> list[dict[str, Any]]:
    """Records that changed since."""
    if since is None:
        return list(found)
    moment = dt.datetime.fromisoformat(since)
    return [record for record in found if dt.datetime.fromisoformat(record[name]) >= moment]


def refused(status: int, code: str, message: str) -> Answer:
    """An error as Zoho writes it."""
    return Answer({"code": code, "details": {}, "message": message, "status": "error"}, status)
