"""Salesforce as its REST guide describes it: SOQL by `q`, pages by `nextRecordsUrl`, OAuth.

The answers have the form of the excerpts in `shared/data/api_fixtures/salesforce`; the records of
the objects beside Contact and Account are made by the guide's object reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from carelake.source_kinds.salesforce import FIELDS, TYPES
from tests.carelake.sources.faulty_api import Answer, Asked, Service

KNOWN = {TYPES[name]: {"Id", "SystemModstamp", *fields} for name, fields in FIELDS.items()}
KNOWN["Case"].add("Severity__c")
ANN, OLD, BEN, ACME = (
    "003A00000000001AAA",
    "003A00000000002AAA",
    "003A00000000003AAA",
    "001A00000000001AAA",
)
ANNA_AGENT = "005A00000000001AAA"
CASE, GONE = "500A00000000001AAA", "500A00000000002AAA"


def at(minute: int) -> str:
    """A time as Salesforce writes it."""
    return f"2024-05-01T10:{minute:02d}:00.000+0000"


def records() -> dict[str, list[dict[str, Any]]]:
    """What the org holds, by type."""
    return {
        "Contact": [
            {"Id": ANN, "MasterRecordId": None, "AccountId": ACME, "Name": "Ann Li 李安", "Email": "ann@example.org", "Phone": "+44 20 7946 0001", "MobilePhone": None, "MailingCity": "London", "MailingCountry": "UK", "OwnerId": ANNA_AGENT, "CreatedDate": at(0), "IsDeleted": False, "SystemModstamp": at(5)},
            {"Id": OLD, "MasterRecordId": ANN, "AccountId": ACME, "Name": "A. Li", "Email": "ann.li@example.net", "Phone": None, "MobilePhone": None, "MailingCity": "Leeds", "MailingCountry": "UK", "OwnerId": ANNA_AGENT, "CreatedDate": at(1), "IsDeleted": True, "SystemModstamp": at(6)},
            {"Id": BEN, "MasterRecordId": None, "AccountId": None, "Name": "Ben", "Email": "ben@example.org", "Phone": None, "MobilePhone": "+44 7700 900002", "MailingCity": None, "MailingCountry": None, "OwnerId": ANNA_AGENT, "CreatedDate": at(2), "IsDeleted": False, "SystemModstamp": at(7)},
        ],
        "Account": [
            {"Id": ACME, "MasterRecordId": None, "Name": "Acme", "Phone": "+44 20 7946 0099", "BillingCity": "London", "BillingCountry": "UK", "OwnerId": ANNA_AGENT, "CreatedDate": at(0), "IsDeleted": False, "SystemModstamp": at(5)},
        ],
        "Case": [
            {"Id": CASE, "CaseNumber": "00001001", "ContactId": OLD, "AccountId": ACME, "SuppliedName": None, "SuppliedEmail": "ann.li@example.net", "SuppliedPhone": None, "Origin": "Web", "Status": "Closed", "IsClosed": True, "Type": "Delivery", "Reason": None, "Subject": "Where is my parcel?", "Description": "It is late.", "OwnerId": ANNA_AGENT, "CreatedDate": at(10), "ClosedDate": at(40), "IsDeleted": False, "SystemModstamp": at(41), "Severity__c": "high"},
            {"Id": GONE, "CaseNumber": "00001002", "ContactId": BEN, "AccountId": None, "SuppliedName": None, "SuppliedEmail": None, "SuppliedPhone": None, "Origin": "Phone", "Status": "New", "IsClosed": False, "Type": None, "Reason": None, "Subject": "Spam", "Description": None, "OwnerId": "00GA00000000001AAA", "CreatedDate": at(11), "ClosedDate": None, "IsDeleted": True, "SystemModstamp": at(42), "Severity__c": None},
        ],
        "EmailMessage": [
            {"Id": "02sA00000000001AAA", "ParentId": CASE, "RelatedToId": CASE, "Incoming": True, "FromAddress": "ann.li@example.net", "FromName": "Ann Li", "ToAddress": "care@shop.example; other@shop.example", "Subject": "Where is my parcel?", "TextBody": "It is late.", "HtmlBody": None, "MessageDate": at(10), "Status": "0", "ReplyToEmailMessageId": None, "CreatedById": "005A00000000009AAA", "IsDeleted": False, "SystemModstamp": at(12)},
            {"Id": "02sA00000000002AAA", "ParentId": CASE, "RelatedToId": CASE, "Incoming": False, "FromAddress": "care@shop.example", "FromName": "Shop", "ToAddress": "ann.li@example.net", "Subject": "Re: Where is my parcel?", "TextBody": None, "HtmlBody": "<style>p{}</style><p>On its way &amp; insured.</p><p>Anna</p>", "MessageDate": at(20), "Status": "3", "ReplyToEmailMessageId": "02sA00000000001AAA", "CreatedById": ANNA_AGENT, "IsDeleted": False, "SystemModstamp": at(21)},
        ],
        "Task": [
            {"Id": "00TA00000000001AAA", "WhoId": BEN, "WhatId": None, "AccountId": None, "TaskSubtype": "Call", "Type": "Call", "CallType": "Inbound", "CallDurationInSeconds": 95, "Subject": "Call", "Description": "Asked for a price", "Status": "Completed", "OwnerId": ANNA_AGENT, "ActivityDate": "2024-05-01", "CompletedDateTime": at(30), "CreatedDate": at(29), "IsClosed": True, "IsDeleted": False, "SystemModstamp": at(31)},
            {"Id": "00TA00000000004AAA", "WhoId": None, "WhatId": None, "AccountId": None, "TaskSubtype": "Call", "Type": "Call", "CallType": "Inbound", "CallDurationInSeconds": 0, "Subject": "Missed call", "Description": None, "Status": "Completed", "OwnerId": "00GA00000000001AAA", "ActivityDate": "2024-05-01", "CompletedDateTime": at(34), "CreatedDate": at(34), "IsClosed": True, "IsDeleted": False, "SystemModstamp": at(34)},
            {"Id": "00TA00000000002AAA", "WhoId": BEN, "WhatId": None, "AccountId": None, "TaskSubtype": "Task", "Type": None, "CallType": None, "CallDurationInSeconds": None, "Subject": "Prepare offer", "Description": None, "Status": "Not Started", "OwnerId": ANNA_AGENT, "ActivityDate": "2024-05-03", "CompletedDateTime": None, "CreatedDate": at(30), "IsClosed": False, "IsDeleted": False, "SystemModstamp": at(32)},
            {"Id": "00TA00000000003AAA", "WhoId": BEN, "WhatId": None, "AccountId": None, "TaskSubtype": "Email", "Type": "Email", "CallType": None, "CallDurationInSeconds": None, "Subject": "Email: offer", "Description": "see attached", "Status": "Completed", "OwnerId": ANNA_AGENT, "ActivityDate": "2024-05-01", "CompletedDateTime": at(33), "CreatedDate": at(33), "IsClosed": True, "IsDeleted": False, "SystemModstamp": at(33)},
        ],
        "Opportunity": [
            {"Id": "006A00000000001AAA", "AccountId": ACME, "ContactId": None, "Name": "Acme 100 chairs", "Amount": 4800.5, "StageName": "Closed Won", "IsClosed": True, "IsWon": True, "CloseDate": "2024-04-30", "OwnerId": ANNA_AGENT, "CreatedDate": at(0), "IsDeleted": False, "SystemModstamp": at(9)},
            {"Id": "006A00000000002AAA", "AccountId": None, "ContactId": BEN, "Name": "Ben", "Amount": 10, "StageName": "Prospecting", "IsClosed": False, "IsWon": False, "CloseDate": "2024-06-30", "OwnerId": ANNA_AGENT, "CreatedDate": at(3), "IsDeleted": False, "SystemModstamp": at(9)},
        ],
        "User": [
            {"Id": ANNA_AGENT, "Name": "Anna Agent", "Email": "anna@shop.example", "Phone": None, "UserRole": {"attributes": {"type": "UserRole"}, "Name": "Care"}, "Manager": None, "IsActive": True, "SystemModstamp": at(0)},
        ],
    }  # fmt: skip


EXPECTED: dict[str, list[dict[str, Any]]] = {
    "customers": [
        {"customer_id": ANN, "customer_name": "Ann Li 李安", "email": "ann@example.org", "phone": "+44 20 7946 0001", "city": "London", "country": "UK", "agent": ANNA_AGENT, "created_at": "2024-05-01T10:00:00.000000Z", "updated_at": "2024-05-01T10:05:00.000000Z", "is_deleted": "false"},
        {"customer_id": OLD, "merged_into": ANN, "customer_name": "A. Li", "email": "ann.li@example.net", "city": "Leeds", "country": "UK", "agent": ANNA_AGENT, "created_at": "2024-05-01T10:01:00.000000Z", "updated_at": "2024-05-01T10:06:00.000000Z", "is_deleted": "false"},
        {"customer_id": BEN, "customer_name": "Ben", "email": "ben@example.org", "phone": "+44 7700 900002", "agent": ANNA_AGENT, "created_at": "2024-05-01T10:02:00.000000Z", "updated_at": "2024-05-01T10:07:00.000000Z", "is_deleted": "false"},
        {"customer_id": ACME, "customer_name": "Acme", "phone": "+44 20 7946 0099", "city": "London", "country": "UK", "agent": ANNA_AGENT, "created_at": "2024-05-01T10:00:00.000000Z", "updated_at": "2024-05-01T10:05:00.000000Z", "is_deleted": "false"},
    ],
    "conversations": [
        {"conversation_id": CASE, "channel": "email", "status": "closed", "category": "Delivery", "subject": "Where is my parcel?", "customer_id": OLD, "email": "ann.li@example.net", "agent": ANNA_AGENT, "opened_at": "2024-05-01T10:10:00.000000Z", "closed_at": "2024-05-01T10:40:00.000000Z", "updated_at": "2024-05-01T10:41:00.000000Z", "is_deleted": "false", "attributes": {"Severity__c": "high"}},
        {"conversation_id": GONE, "channel": "phone", "status": "open", "subject": "Spam", "customer_id": BEN, "opened_at": "2024-05-01T10:11:00.000000Z", "updated_at": "2024-05-01T10:42:00.000000Z", "is_deleted": "true", "attributes": {"Severity__c": None}},
    ],
    "communications": [
        {"communication_id": "02sA00000000001AAA", "conversation_id": CASE, "channel": "email", "direction": "inbound", "customer_name": "Ann Li", "from_address": "ann.li@example.net", "to_address": "care@shop.example", "sent_at": "2024-05-01T10:10:00.000000Z", "subject": "Where is my parcel?", "body": "It is late.", "updated_at": "2024-05-01T10:12:00.000000Z", "is_deleted": "false"},
        {"communication_id": "02sA00000000002AAA", "conversation_id": CASE, "in_reply_to": "02sA00000000001AAA", "channel": "email", "direction": "outbound", "from_address": "care@shop.example", "to_address": "ann.li@example.net", "agent": ANNA_AGENT, "sent_at": "2024-05-01T10:20:00.000000Z", "subject": "Re: Where is my parcel?", "body": "On its way & insured.\nAnna", "updated_at": "2024-05-01T10:21:00.000000Z", "is_deleted": "false"},
        {"communication_id": "00TA00000000001AAA", "channel": "phone", "direction": "inbound", "customer_id": BEN, "agent": ANNA_AGENT, "sent_at": "2024-05-01T10:28:25.000000Z", "subject": "Call", "body": "Asked for a price", "duration_seconds": "95", "updated_at": "2024-05-01T10:31:00.000000Z", "is_deleted": "false"},
        {"communication_id": "00TA00000000004AAA", "channel": "phone", "direction": "inbound", "sent_at": "2024-05-01T10:34:00.000000Z", "subject": "Missed call", "duration_seconds": "0", "updated_at": "2024-05-01T10:34:00.000000Z", "is_deleted": "false"},
    ],
    "orders": [
        {"order_id": "006A00000000001AAA", "customer_id": ACME, "ordered_at": "2024-04-30T00:00:00.000000Z", "amount": "4800.5", "currency": "GBP", "status": "won", "updated_at": "2024-05-01T10:09:00.000000Z", "is_deleted": "false"},
        {"order_id": "006A00000000002AAA", "customer_id": BEN, "ordered_at": "2024-06-30T00:00:00.000000Z", "amount": "10", "currency": "GBP", "status": "void", "updated_at": "2024-05-01T10:09:00.000000Z", "is_deleted": "false"},
    ],
    "agents": [
        {"agent_id": ANNA_AGENT, "agent_name": "Anna Agent", "email": "anna@shop.example", "team": "Care", "updated_at": "2024-05-01T10:00:00.000000Z"},
    ],
}  # fmt: skip
"""What is in the raw tables after one extract and load, worked out by hand; no NULL is written."""


@dataclass
class Salesforce(Service):
    """An org of a handful of records."""

    records: dict[str, list[dict[str, Any]]] = field(default_factory=records)
    junk: list[Any] = field(default_factory=list)
    spoilt = ("customers", "conversations", "communications", "orders", "agents")

    def spoil(self) -> int:
        """Put records of no known form on every first page; gives how many are no object there."""
        odd = {
            "Id": {"a": 1},
            "Name": ["x"],
            "Email": 7,
            "IsDeleted": {},
            "UserRole": "no role",
            "SystemModstamp": [],
        }
        self.junk = ["no record", 17, {"Id": None, "TaskSubtype": "Call"}, {}, odd]
        return 2 * len(self.records)

    def before(self) -> None:
        """The org before the merge and the deletion."""
        for kind, place in (("Contact", 1), ("Case", 1)):
            record = self.records[kind][place]
            record |= {
                "IsDeleted": False,
                "SystemModstamp": at(3),
                **({"MasterRecordId": None} if kind == "Contact" else {}),
            }

    def after(self) -> None:
        """The org as `records` has it."""
        self.records = records()

    def log_in(self, asked: Asked) -> Answer | None:
        if asked.path != "/services/oauth2/token":
            return None
        if asked.form.get("client_secret") != "s3cret":
            said = {"error": "invalid_client", "error_description": "invalid client credentials"}
            return Answer(said, 401)
        self.tokens += 1
        self.token = f"00D!token-{self.tokens}"
        # there is no expires_in
        return Answer(
            {"access_token": self.token, "instance_url": self.url, "token_type": "Bearer"}
        )

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != f"Bearer {self.token}":
            said = {"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}
            return Answer([said], 401)
        base, _, what = asked.path.rpartition("/")
        if base.endswith("/query"):
            rest = self.places.get(what)
            if rest is None:
                said = {"message": "invalid query locator", "errorCode": "INVALID_QUERY_LOCATOR"}
                return Answer([said], 400)
            return self._page(*rest)
        if what not in ("query", "queryAll"):
            return Answer([{"message": "not found", "errorCode": "NOT_FOUND"}], 404)
        return self._query(asked.query["q"], with_deleted=what == "queryAll")

    def _query(self, soql: str, *, with_deleted: bool) -> Answer:
        parts = re.fullmatch(
            r"SELECT (.+?) FROM (\w+)(?: WHERE (.+?))?(?: ORDER BY SystemModstamp, Id)?", soql
        )
        if parts is None or parts[2] not in KNOWN:
            said = {"message": f"unexpected token: {soql}", "errorCode": "MALFORMED_QUERY"}
            return Answer([said], 400)
        fields, kind, where = parts[1].split(", "), parts[2], parts[3] or ""
        found = [
            record
            for record in self.records[kind]
            if (with_deleted or not record.get("IsDeleted")) and _holds(record, where)
        ]
        found.sort(key=lambda r: (r["SystemModstamp"], str(r["Id"])))
        if fields == ["COUNT()"]:
            return Answer({"totalSize": len(found), "done": True, "records": []})
        unknown = [name for name in fields if name not in KNOWN[kind]]
        if unknown:
            text = f"No such column '{unknown[0]}' on entity '{kind}'."
            return Answer([{"message": text, "errorCode": "INVALID_FIELD"}], 400)
        names = {name.partition(".")[0] for name in fields}
        return self._page(kind, [{k: v for k, v in r.items() if k in names} for r in found], 0)

    def _page(self, kind: str, found: list[dict[str, Any]], start: int) -> Answer:
        end = start + self.page_size
        url = f"/services/data/v60.0/sobjects/{kind}/"
        page = [
            {"attributes": {"type": kind, "url": f"{url}{r['Id']}"}, **r} for r in found[start:end]
        ]
        page += [] if start else self.junk
        body: dict[str, Any] = {"totalSize": len(found), "done": end >= len(found), "records": page}
        if end < len(found):
            body["nextRecordsUrl"] = f"/services/data/v60.0/query/{self.place((kind, found, end))}"
        return Answer(body)


def _holds(record: dict[str, Any], where: str) -> bool:
    for condition in filter(None, where.split(" AND ")):
        name, sign, value = condition.split(" ", 2)
        theirs = str(record.get(name))[:19]
        wanted = value.strip("'").rstrip("Z")
        holds = {">=": theirs >= wanted, "<": theirs < wanted, "!=": theirs != wanted}[sign]
        if not holds:
            return False
    return True
